# What the other scripts share; they source it. POSIX sh.
# shellcheck shell=sh disable=SC2034,SC2153,SC2154
# (facts.sh sets NAME, VERSION, PRIORITY and TARGETS; some variables are for the scripts that source this.)

LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 022

# shellcheck source=facts.sh
. "$here/facts.sh"
HOST_MODULE="$NAME-ports"
FOREIGN="before this bundle"

# GNU's, also where the shell is busybox, which has smaller ones of its own.
find() { /usr/bin/find "$@"; }
stat() { /usr/bin/stat "$@"; }

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
end_with() { # CODE MESSAGE [HINT]
  printf '%s: %s\n' "${0##*/}" "$2" >&2
  [ -z "${3:-}" ] || printf '  %s\n' "$3" >&2
  exit "$1"
}
# The exit codes: 1 refused, or not as it should be; 2 wrong usage; 3 something can't be read or written; 4 a tool lacks.
refuse() { end_with 1 "$@"; }
misused() { end_with 2 "$@"; }
unable() { end_with 3 "$@"; }

# ---- arguments and the place ------------------------------------------------------------------------------------------

root='' store='' target='' migrate='' relabel=yes only_check=no while_running=no report=no
# takes: the options of the script that sources this.
read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --[a-z]*) case " $takes " in *" ${1#--} "*) ;; *) misused "unknown argument $1" "--help lists them" ;; esac ;;
      *) misused "unknown argument $1" "--help lists them" ;;
    esac
    case $1 in
      --no-relabel) relabel=no ;;
      --check) only_check=yes ;;
      --while-running) while_running=yes ;;
      --report) report=yes ;;
      *)
        if [ $# -lt 2 ] || [ -z "$2" ]; then misused "$1 needs a value"; fi
        case $1 in
          --root) root=$2 ;;
          --store) store=$2 ;;
          --target) target=$2 ;;
          --migrate) migrate="$migrate$2 " ;;
        esac
        shift ;;
    esac
    shift
  done
  case $store$target in *[!A-Za-z0-9._-]*) misused "a store and a target are made of letters, digits and . _ -" ;; esac
  case $migrate in *[!A-Za-z0-9._=\ -]*) misused "--migrate takes TYPE, or OLD=NEW" ;; esac
  find_place
}

find_place() {
  if [ -n "$root" ]; then
    [ -d "$root/etc/selinux" ] || misused "$root is no system's root: it has no etc/selinux"
    root=$(cd "$root" && pwd)
    [ "$root" != / ] || root=''
  fi
  configured=$(sed -n 's/^[[:space:]]*SELINUXTYPE[[:space:]]*=[[:space:]]*\([A-Za-z0-9._-]*\).*/\1/p' \
    "$root/etc/selinux/config" 2>/dev/null | tail -n 1)
  store=${store:-$configured}
  [ -n "$store" ] || misused "which policy this host has is not configured" "name its store: --store targeted"
  case $store in . | ..) misused "$store is no store" ;; esac
  home=$root/var/lib/selinux/$store
  active=$home/active
  contexts=$root/etc/selinux/$store/contexts/files
  state=$root/var/lib/selinux-bundles/$NAME
  live=no
  if [ -z "$root" ] && [ "$store" = "$configured" ] && [ -e /sys/fs/selinux/enforce ]; then live=yes; fi
  for tool in semodule setfiles matchpathcon bzip2 /usr/bin/find /usr/bin/stat flock; do
    command -v "$tool" >/dev/null || end_with 4 "$tool is not installed" \
      "install policycoreutils, libselinux-utils (selinux-utils on Debian), bzip2, findutils and util-linux"
  done
  if [ ! -d "$active/modules" ] && [ -d "$home/previous/modules" ] && [ -w "$home" ]; then repair_store; fi
  [ -d "$active/modules" ] || unable "there is no module store $active" "run as root; or name it: --store NAME"
  [ -r "$active/modules" ] || unable "$active can't be read" "run as root"
}

# libsemanage renames active to previous and then its new store to active (semanage_commit_sandbox): what was killed
# between the two left a host without a store.
repair_store() {
  exec 8>>"$home/semanage.trans.LOCK"
  flock -w 60 8 || unable "$active is gone, and somebody is at work on it" "wait, and try again"
  [ -d "$active" ] || mv "$home/previous" "$active"
  exec 8>&-
}

# Scratch lies beside the stores, where it gets their label: where the kernel enforces, semodule runs in a domain of its
# own, which neither reads nor writes what an administrator has in /tmp. Files can be renamed from there into the store.
# Its name tells the process, so that a later run removes what a killed one left.

# For what only reads.
look() {
  scratch=${home%/*}/.bundle-$store.$$
  mkdir -m 700 -- "$scratch" 2>/dev/null || scratch=$(mktemp -d "${TMPDIR:-/tmp}/selinux-bundle.XXXXXXXX") ||
    unable "no temporary directory can be made"
  clean_up_at_end
}

# For what changes the host: one run at a time, and what an earlier run left half done comes first. The lock goes with
# the last process of this run, also with one that outlives its shell.
begin() {
  [ -w "$home" ] || unable "$home can't be written" "run as root"
  exec 9<"$home"
  flock -n 9 || refuse "another run of a bundle's scripts is under way on this host" "wait for it"
  for left in "${home%/*}/.bundle-$store".*; do
    [ ! -d "$left" ] || kill -0 "${left##*.}" 2>/dev/null || rm -rf -- "$left"
  done
  scratch=${home%/*}/.bundle-$store.$$
  rm -rf -- "$scratch"
  mkdir -m 700 -- "$scratch" || unable "$scratch can't be made" "make room"
  clean_up_at_end
  recover
}

clean_up_at_end() {
  trap 'rm -rf -- "$scratch"' EXIT
  trap 'exit 130' INT TERM HUP
}

check_sums() {
  if command -v sha256sum >/dev/null; then
    sums=$(cd "$here" && sha256sum -c SHA256SUMS 2>&1) || {
      printf '%s\n' "$sums" | grep -v ': OK$' >&2
      refuse "this bundle is not what was shipped" "get it anew"
    }
  else
    warn "sha256sum is not installed: the bundle's files are not checked"
  fi
}

os_release() { # KEY
  sed -n "s/^$1=[\"']*\([A-Za-z0-9._:-]*\)[\"']*\$/\1/p" "$root/etc/os-release" 2>/dev/null | tail -n 1
}

# Which target this host is: named; else the only one; else the one called as the host calls itself.
choose_target() {
  if [ -z "$target" ]; then
    # shellcheck disable=SC2086 # the names hold no blanks
    set -- $TARGETS
    if [ $# -eq 1 ]; then
      target=$1
    else
      # As text: a file of another system's root is never run.
      host="$(os_release PLATFORM_ID | sed 's/^platform://') $(os_release ID)$(os_release VERSION_ID)"
      for one in "$@"; do
        for word in $host; do [ "$one" != "$word" ] || target=$one; done
      done
    fi
  fi
  [ -n "$target" ] || misused "which target this host is can't be told" "name it with --target: $TARGETS"
  case " $TARGETS " in
    *" $target "*) ;;
    *) misused "the bundle has no module for the target $target" "it has: $TARGETS" ;;
  esac
  facts=$here/targets/$target
  module=$(module_in "$facts") || unable "the bundle has no module in $facts"
}

module_in() { # DIRECTORY: the path of the module in it
  for one in "$1/$NAME.pp" "$1/$NAME.cil"; do
    if [ -f "$one" ]; then
      printf '%s\n' "$one"
      return 0
    fi
  done
  return 1
}

# ---- what is written down ---------------------------------------------------------------------------------------------
#
# $state/current     what is installed: its module, and what of the host was changed for it
# $state/previous    the version before it
# $state/next        what an installation or rollback is about to make current; gone when that is done
# $state/removing    what a removal is about to change; gone, with everything else, when that is done
# $state/labels      files that were labelled otherwise than the host's file contexts say, and how
#
# A directory is filled under another name and renamed; it is renamed before it is removed.

drop() { # DIRECTORY
  rm -rf -- "$state.gone"
  [ ! -d "$1" ] || mv -- "$1" "$state.gone"
  rm -rf -- "$state.gone"
}

# record DIRECTORY: what is needed to undo an installation, by whichever version's scripts.
record() {
  mkdir -p "$1"
  for one in types places needs; do cp "$facts/$one" "$1/$one"; done
  # What was wanted; "ports" and "booleans" are what of it was not there, so that it is ours.
  for one in ports booleans; do cp "$facts/$one" "$1/wanted-$one"; done
  cp "$module" "$1/"
  printf '%s %s\n' "$VERSION" "$target" >"$1/version"
}

# recover: what a run that was cut short began is finished where the module went in or out, and undone where it did not.
recover() {
  went_back_to=''
  rm -rf -- "$state.gone" "$state/next.new" "$state/current.new" "$state/removing.new" "$state/labels.new"
  if [ -d "$state/removing" ]; then
    if installed_here "$NAME"; then
      warn "a removal that was cut short is undone"
      undo_removal
    else
      warn "a removal that was cut short is finished"
      finish_removal
    fi
  elif [ -d "$state/next" ]; then
    if same_as_installed "$state/next"; then
      warn "an installation that was cut short is finished"
      make_current
    else
      warn "an installation that was cut short is undone"
      undo_next
    fi
  elif [ -d "$state/current" ] && ! installed_here "$NAME"; then
    warn "$NAME was removed by other means: what else was changed for it goes too"
    prepare_removal "$state/current"
    finish_removal
  fi
  settle_back
  forget_if_empty
  # A transaction that was cut short leaves its half-built store to the next one.
  if [ -d "$home/tmp" ] || [ -d "${home%/*}/final/$store" ]; then transact semodule_ -B || cat "$scratch/said" >&2; fi
}

forget_if_empty() {
  if [ -d "$state" ] && [ ! -d "$state/current" ] && [ ! -d "$state/next" ]; then drop "$state"; fi
  [ ! -d "${state%/*}" ] || rmdir "${state%/*}" 2>/dev/null || :
}

# same_as_installed DIRECTORY: the module that is kept there is the installed one.
same_as_installed() {
  installed_here "$NAME" || return 1
  rm -rf "$scratch/there"
  mkdir "$scratch/there"
  extract "$scratch/there"
  kept=$(module_in "$1") || return 1
  cmp -s "$kept" "$scratch/there/${kept##*/}"
}

extract() { # DIRECTORY: the installed module, as it was put in
  (cd "$1" && semodule_ -X "$PRIORITY" -H -E "$NAME" >/dev/null 2>&1) || unable "the installed $NAME can't be read back"
}

same_record() { # ONE OTHER
  cmp -s "$1/version" "$2/version" && cmp -s "$(module_in "$1")" "$(module_in "$2")"
}

types_of() { # DIRECTORY...: their types as one regular expression, empty for none
  for one in "$@"; do [ ! -f "$one/types" ] || cat "$one/types"; done | sort -u | as_expression
}

as_expression() { sed 's/[.]/[.]/g; s/[$]/[$]/g' | paste -s -d '|' -; }

# types_only_in DIRECTORY OTHER: the types of the one that the other lacks, as one regular expression.
types_only_in() {
  sort -u "$1/types" >"$scratch/types"
  sort -u "$2/types" | comm -23 "$scratch/types" - | as_expression
}
