#!/bin/sh
# Checks this host, then installs the module with its ports and booleans in one transaction. Nothing is changed where
# anything that it needs is missing, or a rule of the policy would be broken. It never changes the mode of SELinux.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
# shellcheck source=host.sh
. "$here/host.sh"
# shellcheck source=changes.sh
. "$here/changes.sh"
usage() {
  say "Usage: sh install.sh [--check] [--target NAME] [--root DIR] [--store NAME] [--while-running] [--no-relabel]"
  say "  --check          whether it could be installed; nothing is changed"
  say "  --target         which of the targets this host is: $TARGETS"
  say "  --root           a system that is not running: an image's root directory"
  say "  --store          the policy's name, where etc/selinux/config does not say it"
  say "  --while-running  also while processes run in the domain of the version before, where that domain stays"
  say "  --no-relabel     leave the labels of files to somebody else"
}
takes='check target root store while-running no-relabel'
read_arguments "$@"
check_sums
choose_target
if [ "$only_check" = yes ]; then look; else begin; fi

# ---- may it be installed? ---------------------------------------------------------------------------------------------

refuse_elsewhere
before=no
if installed_here "$NAME"; then before=yes; fi
if [ "$before" = yes ] && [ ! -d "$state/current" ]; then
  warn "a module $NAME that no bundle installed is replaced; rollback.sh brings it back"
fi
lacking=$(missing "$facts/needs")
[ -z "$lacking" ] || refuse "this host's policy lacks what the module needs:
$(printf '%s\n' "$lacking" | sed 's/^/  /')" "is it the target $target? Others in this bundle: $TARGETS"

: >"$scratch/ports"
while read -r protocol number type; do
  # What is ours is seen as nobody's, so that it stays ours.
  has=$(port_label "$protocol" "$number")
  if [ -z "$has" ]; then
    printf '%s %s %s\n' "$protocol" "$number" "$type" >>"$scratch/ports"
  elif [ "$has" != "$type" ]; then
    warn "port $number/$protocol is $has here, and stays so; the module would have it as $type"
  fi
done <"$facts/ports"

[ ! -d "$state/current" ] || refuse_running "$facts"
would_build "$module" "$scratch/ports" || {
  cat "$scratch/wrong" >&2
  refuse "this host's policy does not take the module, or the module breaks a rule of it; nothing was changed"
}
if [ "$only_check" = yes ]; then
  say "$NAME $VERSION can be installed (target $target)."
  exit 0
fi

# ---- what is there stays, what is not becomes ours --------------------------------------------------------------------

mkdir -p "$state"
if [ "$before" = yes ] && [ ! -d "$state/current" ]; then
  mkdir "$state/current.new"
  extract "$state/current.new"
  for one in types places needs ports booleans wanted-ports wanted-booleans; do : >"$state/current.new/$one"; done
  printf '%s\n' "$FOREIGN" >"$state/current.new/version"
  mv "$state/current.new" "$state/current"
fi
rm -rf "$state/next.new"
record "$state/next.new"
cp "$scratch/ports" "$state/next.new/ports"
wanted_booleans >"$state/next.new/booleans"
note_labels "$facts/places" "$(types_of "$facts" "$state/current")"
begin_next "$state/next.new"
make_current
say "$NAME $VERSION is installed (target $target, priority $PRIORITY)."
