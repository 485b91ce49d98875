#!/bin/sh
# Checks this host, then installs the module with its ports and booleans in one transaction. Nothing is changed where
# anything that it needs is missing. It never changes the mode of SELinux.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
usage() {
  say "Usage: sh install.sh [--target NAME] [--root DIR] [--store NAME] [--no-relabel]"
  say "  --target  which of the targets this host is: $TARGETS"
  say "  --root    a system that is not running: an image's root directory"
  say "  --store   the policy's name, where etc/selinux/config does not say it"
}
read_arguments "$@"
check_sums
choose_target
recover

# ---- may it be installed? ---------------------------------------------------------------------------------------------

for one in "$NAME" "$HOST_MODULE"; do
  others=$(priority_of "$one" | grep -vx "$PRIORITY" | paste -s -d ' ' - || :)
  [ -z "$others" ] || refuse "the host has a module $one at priority $others, and one of the two would hide the other" \
    "remove it first: semodule -X ${others%% *} -r $one"
done
if installed_here "$NAME" && [ ! -d "$state/current" ]; then
  warn "a module $NAME that no bundle installed is replaced; rollback.sh brings it back"
fi
lacking=$(missing "$facts/needs")
[ -z "$lacking" ] || refuse "this host's policy lacks what the module needs:
$(printf '%s\n' "$lacking" | sed 's/^/  /')" "is it the target $target? Others in this bundle: $TARGETS"

# ---- what is there stays, what is not becomes ours --------------------------------------------------------------------

mkdir -p "$state"
rm -rf "$state/next"
keep "$state/next.new"
: >"$state/next.new/ports"
: >"$state/next.new/booleans"
while read -r protocol number type; do
  has=$(port_label "$protocol" "$number")
  if [ -z "$has" ]; then
    printf '%s %s %s\n' "$protocol" "$number" "$type" >>"$state/next.new/ports"
  elif [ "$has" != "$type" ]; then
    warn "port $number/$protocol is $has here, and stays so; the module would have it as $type"
  fi
done <"$facts/ports"
while read -r name value; do
  now=$(boolean_now "$name")
  was=$(awk -v name="$name" '$1 == name { print $2 }' "$state/current/booleans" 2>/dev/null || :)
  # What an earlier version of ours changed is still ours to put back.
  if [ -n "$was" ]; then now=$was; fi
  [ "$now" = "$value" ] || printf '%s %s %s\n' "$name" "$now" "$value" >>"$state/next.new/booleans"
done <"$facts/booleans"

if installed_here "$NAME" && [ ! -d "$state/current" ]; then
  mkdir -p "$state/current.new"
  (cd "$state/current.new" && semodule_ -X "$PRIORITY" -H -E "$NAME" >/dev/null)
  for one in types places needs ports booleans; do : >"$state/current.new/$one"; done
  printf 'before this bundle\n' >"$state/current.new/version"
  mv "$state/current.new" "$state/current"
fi
mv "$state/next.new" "$state/next"

# ---- one transaction --------------------------------------------------------------------------------------------------

[ "$live" = yes ] || change_booleans "$state/current/booleans" "$state/next/booleans"
if ! put_in "$module" "$state/next/ports"; then
  cat "$scratch/said" >&2
  [ "$live" = yes ] || change_booleans "$state/next/booleans" "$state/current/booleans"
  rm -rf "$state/next"
  rmdir "$state" 2>/dev/null || :
  refuse "the module does not go into this host's policy; nothing was changed"
fi
[ "$live" = no ] || change_booleans "$state/current/booleans" "$state/next/booleans"

# What the previous version labelled and this one does not goes back to what the host says.
[ ! -d "$state/current" ] || set_labels "$state/current/places"
set_labels "$state/next/places"
finish_install
say "$NAME $VERSION is installed (target $target, priority $PRIORITY)."
