#!/bin/sh
# Whether this host still has what was shipped; where it has nothing of it, whether it could be installed. Changes
# nothing. Exit code 1 when anything is amiss.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
# shellcheck source=host.sh
. "$here/host.sh"
# shellcheck source=changes.sh
. "$here/changes.sh"
usage() {
  say "Usage: sh verify.sh [--target NAME] [--root DIR] [--store NAME] [--report]"
  say "  --report  for programs: a line of KIND, WHAT and TEXT for each thing, with tabs between"
}
takes='target root store report'
read_arguments "$@"
check_sums
look
if [ -z "$target" ]; then
  target=$(sed -n 's/^[^ ]* \([A-Za-z0-9._-]*\)$/\1/p' "$state/current/version" 2>/dev/null || :)
  case " $TARGETS " in *" $target "*) ;; *) target='' ;; esac
fi
choose_target

amiss=0
complain() { # KIND WHAT TEXT
  if [ "$report" = yes ]; then printf '%s\t%s\t%s\n' "$1" "$2" "$3"; else say "$3"; fi
  amiss=1
}
tell() { # WHAT TEXT
  [ "$report" = no ] || printf 'is\t%s\t%s\n' "$1" "$2"
}
sum_of() { sha256sum <"$1" | cut -c 1-64; }

# ---- the module -------------------------------------------------------------------------------------------------------

tell target "$target"
tell shipped "$(sum_of "$module")"
if [ -d "$state/next" ] || [ -d "$state/removing" ]; then
  complain unfinished "$NAME" "a run was cut short: install.sh or uninstall.sh, begun again, finish or undo it"
fi
for one in "$NAME" "$HOST_MODULE"; do
  others=$(elsewhere "$one")
  [ -z "$others" ] || complain shadowed "$one" "another module $one stands at priority $others"
done
if installed_here "$NAME"; then
  mkdir "$scratch/out"
  extract "$scratch/out"
  tell installed "$(sum_of "$(module_in "$scratch/out")")"
  cmp -s "$scratch/out/${module##*/}" "$module" || complain changed "$NAME" "the installed $NAME is not the one of this bundle"
  ! listed | awk -v name="$NAME" '$2 == name && $NF == "disabled" { found = 1 } END { exit !found }' ||
    complain disabled "$NAME" "$NAME is disabled"
else
  complain absent "$NAME" "$NAME is not installed at priority $PRIORITY"
fi

missing "$facts/needs" >"$scratch/lacking"
while read -r what; do
  complain lacking "$what" "the policy has no $what, which the module needs: its rules fall away, or it can't go in"
done <"$scratch/lacking"
if ! installed_here "$NAME" && [ ! -s "$scratch/lacking" ]; then
  : >"$scratch/ports"
  if ! would_build "$module" "$scratch/ports"; then
    while read -r line; do complain refused "$NAME" "the policy does not take it: $line"; done <"$scratch/wrong"
  fi
fi
[ -d "$scratch/out" ] || exit 1

# ---- ports and booleans -----------------------------------------------------------------------------------------------

mine=$state/current/ports
if [ -s "$mine" ]; then
  if installed_here "$HOST_MODULE"; then
    (cd "$scratch/out" && semodule_ -X "$PRIORITY" -H -E "$HOST_MODULE" >/dev/null 2>&1) || :
    port_module "$mine" >"$scratch/ports.cil"
    cmp -s "$scratch/ports.cil" "$scratch/out/$HOST_MODULE.cil" ||
      complain changed "$HOST_MODULE" "the module of ports, $HOST_MODULE, is not as it was installed"
  else
    complain absent "$HOST_MODULE" "the module of ports, $HOST_MODULE, is not installed"
  fi
fi
while read -r protocol number type; do
  has=$(port_label "$protocol" "$number")
  if grep -qsxF "$protocol $number $type" "$mine"; then
    if [ -z "$has" ] && installed_here "$HOST_MODULE"; then has=$type; fi
  elif [ -f "$mine" ] && [ -n "$has" ]; then
    # The host had a label of its own for it already, which was left as it is.
    continue
  fi
  [ "$has" = "$type" ] || complain port "$number/$protocol" "port $number/$protocol is ${has:-not labelled}, not $type"
done <"$facts/ports"
while read -r name value; do
  [ "$(lasting_boolean "$name")" = "$value" ] || complain boolean "$name" "boolean $name is not set to $value for good"
  now=$(running_boolean "$name")
  case $now in "$value" | -) ;; *) complain boolean "$name" "boolean $name is $now now, not $value" ;; esac
done <"$facts/booleans"

# ---- labels -----------------------------------------------------------------------------------------------------------

spec=$contexts/file_contexts
# What the policy says without the administrator's own entries.
host_contexts ''
rm -f "$scratch/contexts/file_contexts.local" "$scratch/contexts/file_contexts.subs"
while IFS='	' read -r kind path pattern; do
  [ -e "$root$path" ] || continue
  spec=$contexts/file_contexts
  odd_at "$kind" "$path" "$pattern" >"$scratch/labels"
  if [ -s "$scratch/labels" ]; then
    first=$(head -n 1 "$scratch/labels" | tr -c '[:print:]\t\n' '?')
    complain label "$path" "labels differ at $path: $(grep -c . "$scratch/labels") files, the first is ${first#*	} (${first%%	*})"
  fi
  if [ "$kind" != pattern ]; then
    now=$(wanted_label "$path") || now=''
    spec=$scratch/contexts/file_contexts
    shipped=$(wanted_label "$path") || shipped=''
    [ "$now" = "$shipped" ] || complain context "$path" "a local file context has $path as $now, not $shipped"
  fi
done <"$facts/places"
[ "$amiss" -eq 0 ] || exit 1
[ "$report" = yes ] || say "$NAME $VERSION is installed as shipped (target $target)."
