#!/bin/sh
# Puts the version back that was there before, in one transaction.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
# shellcheck source=host.sh
. "$here/host.sh"
# shellcheck source=changes.sh
. "$here/changes.sh"
usage() {
  say "Usage: sh rollback.sh [--root DIR] [--store NAME] [--while-running] [--no-relabel]"
  say "  --while-running  also while processes run in the module's domain, where the version before has it too"
}
takes='root store while-running no-relabel'
read_arguments "$@"
begin
if [ -n "$went_back_to" ]; then
  say "$NAME is back at: $went_back_to"
  exit 0
fi

before=$state/previous
[ -d "$before" ] || refuse "no version before this one was kept" "uninstall.sh takes this one out"
module=$(module_in "$before") || unable "the version before is incomplete: there is no module in $before"
refuse_elsewhere
lacking=$(missing "$before/needs")
[ -z "$lacking" ] || refuse "this host's policy lacks what the version before needs:
$(printf '%s\n' "$lacking" | sed 's/^/  /')"
refuse_running "$before"
would_build "$module" "$before/ports" || {
  cat "$scratch/wrong" >&2
  refuse "the version before does not go into this host's policy any more; nothing was changed"
}

rm -rf "$state/next.new"
cp -R "$before" "$state/next.new"
rm -f "$state/next.new/labels"
: >"$state/next.new/back"
begin_next "$state/next.new"
make_current
say "$NAME is back at: $went_back_to"
