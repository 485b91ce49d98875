#!/bin/sh
# Whether this host still has what was shipped. Changes nothing. Exit code 1 when anything is amiss.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
usage() { say "Usage: sh verify.sh [--target NAME] [--root DIR] [--store NAME]"; }
read_arguments "$@"
check_sums
[ -n "$target" ] || target=$(sed -n 's/^[^ ]* \([A-Za-z0-9._-]*\)$/\1/p' "$state/current/version" 2>/dev/null || :)
case " $TARGETS " in *" $target "*) ;; *) target= ;; esac
choose_target

amiss=0
complain() {
  say "$*"
  amiss=1
}
for one in "$NAME" "$HOST_MODULE"; do
  others=$(priority_of "$one" | grep -vx "$PRIORITY" | paste -s -d ' ' - || :)
  [ -z "$others" ] || complain "another module $one stands at priority $others"
done
if ! installed_here "$NAME"; then
  complain "$NAME is not installed at priority $PRIORITY"
else
  mkdir "$scratch/out"
  (cd "$scratch/out" && semodule_ -X "$PRIORITY" -H -E "$NAME" >/dev/null)
  cmp -s "$scratch/out/${module##*/}" "$module" || complain "the installed $NAME is not the one of this bundle"
  ! semodule_ -lfull | awk -v name="$NAME" '$2 == name && $4 == "disabled" { found = 1 } END { exit !found }' ||
    complain "$NAME is disabled"
fi
lacking=$(missing "$facts/needs")
[ -z "$lacking" ] || complain "the policy has lost what the module needs; the rules on it fell away:
$(printf '%s\n' "$lacking" | sed 's/^/  /')"
if [ -f "$state/current/ports" ]; then
  while read -r protocol number type; do
    installed_here "$HOST_MODULE" || complain "port $number/$protocol is no longer labelled $type"
  done <"$state/current/ports"
  # shellcheck disable=SC2034 # was: what it goes back to
  while read -r name was value; do
    [ "$(boolean_now "$name")" = "$value" ] || complain "boolean $name is no longer $value"
  done <"$state/current/booleans"
fi
while IFS='	' read -r kind path _; do
  if [ "$kind" != tree ] || [ ! -e "$root$path" ]; then continue; fi
  setfiles -n -v -F ${root:+-r "$root"} "$contexts/file_contexts" "$root$path" >"$scratch/labels" 2>/dev/null || :
  [ ! -s "$scratch/labels" ] || complain "labels differ at $path ($(grep -c . "$scratch/labels") files)"
done <"$facts/places"
[ "$amiss" -eq 0 ] || exit 1
say "$NAME $VERSION is installed as shipped (target $target)."
