#!/bin/sh
# Takes out what install.sh put in: labels first, then the module with its ports in one transaction. What the host's
# administrator set stays; where it names our types, this refuses until it is told what to name instead.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
# shellcheck source=host.sh
. "$here/host.sh"
# shellcheck source=changes.sh
. "$here/changes.sh"
usage() {
  say "Usage: sh uninstall.sh [--migrate [OLD=]TYPE]... [--root DIR] [--store NAME] [--no-relabel]"
  say "  --migrate  local ports and file contexts that name a type of the module (or OLD) get TYPE instead"
}
takes='migrate target root store no-relabel'
read_arguments "$@"
begin

kept=$state/current
if [ ! -d "$kept" ]; then
  installed_here "$NAME" || { say "$NAME is not installed."; exit 0; }
  choose_target
  kept=$scratch/kept
  record "$kept"
  : >"$kept/ports"
  : >"$kept/booleans"
fi
types=$(types_of "$kept")

# ---- may it go? -------------------------------------------------------------------------------------------------------

# moved: the local settings with other types, in $scratch/moved.
moved() {
  : >"$scratch/edits"
  for one in $migrate; do
    case $one in
      *=*) old=${one%%=*} new=${one#*=} ;;
      *) old='' new=$one ;;
    esac
    printf 'type %s\n' "$new" >"$scratch/wanted"
    [ -z "$(missing "$scratch/wanted")" ] || refuse "--migrate $one: this host's policy has no type $new"
    if [ -n "$old" ]; then
      grep -qxF -- "$old" "$kept/types" || refuse "--migrate $one: $old is no type of the module"
      expression=$(printf '%s\n' "$old" | as_expression)
    else
      expression=$types
    fi
    printf 's/:(%s)(:|[[:space:]]|$)/:%s\\2/g\n' "$expression" "$new" >>"$scratch/edits"
  done
  mkdir "$scratch/moved"
  for file in "$active"/*.local; do
    [ -f "$file" ] || continue
    name=${file##*/}
    cp -p "$file" "$scratch/moved/$name"
    sed -E -f "$scratch/edits" "$file" >"$scratch/changed"
    if cmp -s "$file" "$scratch/changed"; then rm "$scratch/moved/$name"; else cat "$scratch/changed" >"$scratch/moved/$name"; fi
  done
}

refuse_elsewhere
if grep -qsxF -- "$FOREIGN" "$state/previous/version"; then
  warn "the module $NAME that was there before the bundle does not come back so; rollback.sh brings it back"
fi
if [ -n "$migrate" ] && [ -n "$types" ]; then
  running=$(running_in "$types")
  [ -z "$running" ] || refuse "processes run in the module's domain: $running" "stop the workload first"
  moved
else
  refuse_in_use "$types" "change them (semanage port, semanage fcontext), or: --migrate TYPE"
fi
new_copy 0
if [ -d "$scratch/moved" ]; then
  for file in "$scratch/moved"/*.local; do
    [ ! -f "$file" ] || cp "$file" "$scratch/try/var/lib/selinux/$store/active/"
  done
fi
take_out semodule_try || {
  cat "$scratch/said" >&2
  refuse "the module can't be removed: something else in the policy needs it; nothing was changed"
}

# ---- labels, while the types are still known; then one transaction ----------------------------------------------------

prepare_removal "$kept"
swap "$state/removing/before" "$state/removing/after"
remove_labels
store_booleans "$state/removing/booleans" /dev/null
take_out semodule_ || {
  cat "$scratch/said" >&2
  undo_removal
  forget_if_empty
  refuse "the module can't be removed; nothing was changed"
}
forget
say "$NAME is removed."
