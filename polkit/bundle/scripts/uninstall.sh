#!/bin/sh
# Takes out what install.sh put in: labels first, then the module with its ports in one transaction. What the host's
# administrator set stays; where it names our types, this refuses until it is told what to name instead.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
usage() {
  say "Usage: sh uninstall.sh [--migrate TYPE] [--root DIR] [--store NAME] [--no-relabel]"
  say "  --migrate  local ports and file contexts that name a type of the module get TYPE instead"
}
read_arguments "$@"
recover

record=$state/current
if [ ! -d "$record" ]; then
  installed_here "$NAME" || { say "$NAME is not installed."; exit 0; }
  choose_target
  record=$scratch/record
  keep "$record"
  : >"$record/ports"
  : >"$record/booleans"
fi
types=$(owned_types "$record")

# ---- may it go? -------------------------------------------------------------------------------------------------------

if [ "$live" = yes ] && [ -n "$types" ]; then
  running=$(for one in /proc/[0-9]*; do
    label=$(tr -d '\000' <"$one/attr/current" 2>/dev/null) || continue
    if printf '%s\n' "$label" | grep -qE "^[^:]*:[^:]*:($types)(:|\$)"; then printf '%s ' "${one#/proc/}"; fi
  done)
  [ -z "$running" ] || refuse "processes run in the module's domain: $running" "stop the workload first"
fi
: >"$scratch/local"
if [ -n "$types" ]; then
  for file in "$active"/*.local; do
    [ -f "$file" ] || continue
    grep -E ":($types)(:|[[:space:]]|\$)" "$file" | sed "s|^|${file##*/}: |" >>"$scratch/local" || :
  done
fi
if [ -s "$scratch/local" ]; then
  if [ -z "$migrate" ]; then
    warn "local settings of this host name types of the module:"
    sed 's/^/  /' "$scratch/local" >&2
    refuse "they would be left without a type" "change them (semanage port, semanage fcontext), or: --migrate TYPE"
  fi
  printf 'type %s\n' "$migrate" >"$scratch/wanted"
  [ -z "$(missing "$scratch/wanted")" ] || refuse "--migrate $migrate: this host's policy has no such type"
  mkdir "$scratch/before"
  for file in "$active"/*.local; do
    cp -p "$file" "$scratch/before/"
    sed -E "s/:($types)(:|[[:space:]]|\$)/:$migrate\\2/g" "$file" >"$scratch/changed"
    cmp -s "$file" "$scratch/changed" || cat "$scratch/changed" >"$file"
  done
fi

# ---- labels, while the types are still known --------------------------------------------------------------------------

mkdir "$scratch/contexts"
for file in "$contexts"/file_contexts "$contexts"/file_contexts.*; do
  case $file in *.bin) continue ;; esac
  [ -f "$file" ] || continue
  if [ -n "$types" ]; then
    grep -vE ":($types)(:|[[:space:]]|\$)" "$file" >"$scratch/contexts/${file##*/}" || :
  else
    cp "$file" "$scratch/contexts/"
  fi
done
set_labels "$record/places" "$scratch/contexts/file_contexts"

# ---- one transaction --------------------------------------------------------------------------------------------------

[ "$live" = yes ] || change_booleans "$record/booleans" /dev/null
set --
for one in "$NAME" "$HOST_MODULE"; do
  ! installed_here "$one" || set -- "$@" -r "$one"
done
if [ $# -gt 0 ] && ! semodule_ -X "$PRIORITY" "$@" >"$scratch/said" 2>&1; then
  cat "$scratch/said" >&2
  [ ! -d "$scratch/before" ] || cp -p "$scratch/before"/*.local "$active/"
  [ "$live" = yes ] || change_booleans /dev/null "$record/booleans"
  set_labels "$record/places"
  refuse "the module can't be removed: something else in the policy needs it; nothing was changed"
fi
[ "$live" = no ] || change_booleans "$record/booleans" /dev/null
rm -rf "$state"
rmdir "$root/var/lib/selinux-bundles" 2>/dev/null || :
say "$NAME is removed."
