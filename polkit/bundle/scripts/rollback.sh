#!/bin/sh
# Puts the version back that was there before, in one transaction.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
usage() { say "Usage: sh rollback.sh [--root DIR] [--store NAME] [--no-relabel]"; }
read_arguments "$@"
recover

before=$state/previous
[ -d "$before" ] || refuse "no version before this one was kept" "uninstall.sh takes this one out"
module=$before/$NAME.pp
[ -f "$module" ] || module=$before/$NAME.cil
[ -f "$module" ] || refuse "the version before is incomplete: there is no $module"
lacking=$(missing "$before/needs")
[ -z "$lacking" ] || refuse "this host's policy lacks what the version before needs:
$(printf '%s\n' "$lacking" | sed 's/^/  /')"

[ "$live" = yes ] || change_booleans "$state/current/booleans" "$before/booleans"
if ! put_in "$module" "$before/ports"; then
  cat "$scratch/said" >&2
  [ "$live" = yes ] || change_booleans "$before/booleans" "$state/current/booleans"
  refuse "the version before does not go into this host's policy any more; nothing was changed"
fi
[ "$live" = no ] || change_booleans "$state/current/booleans" "$before/booleans"
set_labels "$state/current/places"
set_labels "$before/places"
rm -rf "$state/undone"
mv "$state/current" "$state/undone"
mv "$before" "$state/current"
rm -rf "$state/undone"
say "$NAME is back at: $(cat "$state/current/version")"
