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

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
refuse() { # MESSAGE [HINT]
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  [ -z "${2:-}" ] || printf '  %s\n' "$2" >&2
  exit 1
}

# ---- arguments and the place ------------------------------------------------------------------------------------------

root='' store='' target='' migrate='' relabel=yes
read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --root | --store | --target | --migrate)
        [ $# -gt 1 ] || refuse "$1 needs a value"
        case $1 in
          --root) root=${2%/} ;;
          --store) store=$2 ;;
          --target) target=$2 ;;
          --migrate) migrate=$2 ;;
        esac
        shift ;;
      --no-relabel) relabel=no ;;
      -h | --help) usage; exit 0 ;;
      *) refuse "unknown argument $1" "--help lists them" ;;
    esac
    shift
  done
  case $store$target$migrate in
    *[!A-Za-z0-9._-]*) refuse "a store, a target and a type are made of letters, digits and . _ -" ;;
  esac
  if [ -n "$root" ]; then
    [ -d "$root/etc/selinux" ] || refuse "$root is no system's root: it has no etc/selinux"
    root=$(cd "$root" && pwd)
  fi
  if [ -z "$store" ]; then
    store=$(sed -n 's/^[[:space:]]*SELINUXTYPE[[:space:]]*=[[:space:]]*\([A-Za-z0-9._-]*\).*/\1/p' \
      "$root/etc/selinux/config" 2>/dev/null | tail -n 1)
  fi
  [ -n "$store" ] || refuse "which policy this host has is not configured" "name its store: --store targeted"
  active=$root/var/lib/selinux/$store/active
  contexts=$root/etc/selinux/$store/contexts/files
  [ -d "$active/modules" ] || refuse "there is no module store $active" "run as root; or name it: --store NAME"
  [ -w "$active/modules" ] || refuse "$active can't be written" "run as root"
  state=$root/var/lib/selinux-bundles/$NAME
  live=no
  if [ -z "$root" ] && [ -e /sys/fs/selinux/enforce ]; then live=yes; fi
  command -v semodule >/dev/null || refuse "semodule is not installed" "install policycoreutils"
  new_scratch
}

new_scratch() {
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/selinux-bundle.XXXXXXXX") || refuse "no temporary directory can be made"
  trap 'rm -rf -- "$scratch"' EXIT
  trap 'exit 130' INT TERM HUP
}

semodule_() { # ARGUMENT...: nothing is loaded but into a running kernel
  if [ -n "$root" ]; then
    semodule -p "$root" -s "$store" -N "$@"
  elif [ "$live" = yes ]; then
    semodule -s "$store" "$@"
  else
    semodule -s "$store" -n "$@"
  fi
}

check_sums() {
  if command -v sha256sum >/dev/null; then
    (cd "$here" && sha256sum -c --quiet SHA256SUMS >&2) || refuse "this bundle is not what was shipped" "get it anew"
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
  [ -n "$target" ] || refuse "which target this host is can't be told" "name it with --target: $TARGETS"
  case " $TARGETS " in
    *" $target "*) ;;
    *) refuse "the bundle has no module for the target $target" "it has: $TARGETS" ;;
  esac
  facts=$here/targets/$target
  module=$facts/$NAME.pp
  [ -f "$module" ] || module=$facts/$NAME.cil
  [ -f "$module" ] || refuse "there is no module $module"
}

# ---- what the host has ------------------------------------------------------------------------------------------------

# Each module of the store as "priority name", the one of each name that counts.
enabled_modules() {
  semodule_ -lfull | awk '$4 != "disabled" && (!($2 in best) || $1 + 0 > best[$2]) { best[$2] = $1 + 0 }
    END { for (name in best) print best[name], name }' | sort
}

# priority_of MODULE: at which priorities it stands, each on a line.
priority_of() { semodule_ -lfull | awk -v name="$1" '$2 == name { print $1 + 0 }'; }

installed_here() { priority_of "$1" | grep -qx "$PRIORITY"; }

# declared: what the policy has, one name a line, in $scratch/declared: type X (attributes and aliases too), role X,
# class X, perm CLASS X, boolean X VALUE, port PROTOCOL LOW HIGH TYPE. Modules of ours are left out.
declared() {
  [ ! -f "$scratch/declared" ] || return 0
  enabled_modules >"$scratch/modules"
  while read -r priority name; do
    case $name in "$NAME" | "$HOST_MODULE") continue ;; esac
    file=$active/modules/$priority/$name/cil
    [ -f "$file" ] || continue
    bzip2 -dc "$file" 2>/dev/null || cat "$file"
  done <"$scratch/modules" | sed -E 's/[(](type|typealias|typeattribute|role|roleattribute|boolean|tunable) /\n&/g' | awk '
    { line = $0; gsub(/[()]/, " "); $0 = $0 }
    line ~ /^[ \t]*\((type|typealias|typeattribute) / { print "type", $2; next }
    line ~ /^[ \t]*\((role|roleattribute) / { print "role", $2; next }
    line ~ /^[ \t]*\((boolean|tunable) / { print "boolean", $2, $3; next }
    line ~ /^[ \t]*\(common / { for (i = 3; i <= NF; i++) common[$2] = common[$2] " " $i; next }
    line ~ /^[ \t]*\(class / { print "class", $2; for (i = 3; i <= NF; i++) print "perm", $2, $i; next }
    line ~ /^[ \t]*\(classcommon / { of[$2] = $3; next }
    line ~ /^[ \t]*\(portcon / { n = ($4 ~ /^[0-9]+$/) ? 1 : 0; print "port", $2, $3, (n ? $4 : $3), $(6 + n); next }
    END {
      for (class in of) {
        count = split(common[of[class]], perms, " ")
        for (i = 1; i <= count; i++) print "perm", class, perms[i]
      }
    }' | sort -u >"$scratch/declared"
  grep -q '^type ' "$scratch/declared" || refuse "the modules under $active can't be read" "run as root; bzip2 is needed"
}

# missing FILE: the lines of FILE that the policy lacks.
missing() {
  declared
  sed 's/^attribute /type /; s/^boolean \([^ ]*\).*/boolean \1/' "$1" | sort -u >"$scratch/needed"
  sed 's/^boolean \([^ ]*\).*/boolean \1/' "$scratch/declared" | sort -u | comm -23 "$scratch/needed" -
}

# port_label PROTOCOL NUMBER: the type of exactly this port, of the administrator first; nothing where there is none.
port_label() {
  local_type=$(sed -n "s/^portcon $1 $2 [^:]*:[^:]*:\([A-Za-z0-9_.-]*\).*/\1/p" "$active/ports.local" 2>/dev/null | tail -n 1)
  if [ -n "$local_type" ]; then
    printf '%s\n' "$local_type"
  else
    declared
    awk -v protocol="$1" -v number="$2" '$1 == "port" && $2 == protocol && $3 == number && $4 == number { print $5 }' \
      "$scratch/declared" | tail -n 1
  fi
}

# boolean_now NAME: 1 or 0.
boolean_now() {
  if [ "$live" = yes ]; then
    getsebool "$1" 2>/dev/null | awk '{ print ($3 == "on") ? 1 : 0 }'
    return
  fi
  value=$(sed -n "s/^$1[[:space:]]*=[[:space:]]*\([01]\).*/\1/p" "$active/booleans.local" 2>/dev/null | tail -n 1)
  if [ -z "$value" ]; then
    declared
    value=$(awk -v name="$1" '$1 == "boolean" && $2 == name { print ($3 == "true") ? 1 : 0 }' "$scratch/declared" | tail -n 1)
  fi
  printf '%s\n' "$value"
}

# set_boolean NAME VALUE: for good. Where no kernel runs it goes to the store's own file of them, and the transaction
# that follows builds it in.
set_boolean() {
  if [ "$live" = yes ]; then
    setsebool -P "$1=$2"
    return
  fi
  grep -v "^$1[[:space:]]*=" "$active/booleans.local" >"$scratch/booleans" 2>/dev/null || :
  default=$(awk -v name="$1" '$1 == "boolean" && $2 == name { print ($3 == "true") ? 1 : 0 }' "$scratch/declared" | tail -n 1)
  [ "$default" = "$2" ] || printf '%s=%s\n' "$1" "$2" >>"$scratch/booleans"
  if grep -q '^[^#]' "$scratch/booleans"; then
    cp "$scratch/booleans" "$active/booleans.local.new"
    mv "$active/booleans.local.new" "$active/booleans.local"
  else
    rm -f "$active/booleans.local"
  fi
}

# put_in MODULE PORTS: a module and the ports that are ours with it, in one transaction; what it says is in $scratch/said.
put_in() {
  while read -r protocol number type; do
    printf '(portcon %s %s (system_u object_r %s ((s0) (s0))))\n' "$protocol" "$number" "$type"
  done <"$2" >"$scratch/$HOST_MODULE.cil"
  set -- -X "$PRIORITY" -i "$1"
  if [ -s "$scratch/$HOST_MODULE.cil" ]; then
    set -- "$@" -i "$scratch/$HOST_MODULE.cil"
  elif installed_here "$HOST_MODULE"; then
    set -- "$@" -r "$HOST_MODULE"
  fi
  semodule_ "$@" >"$scratch/said" 2>&1
}

# change_booleans FROM TO: from what one record changed to what another does; a file that is not there changed nothing.
change_booleans() {
  declared
  if [ -f "$1" ]; then
    while read -r name was value; do
      if ! grep -qs "^$name " "$2" && [ "$(boolean_now "$name")" = "$value" ]; then set_boolean "$name" "$was"; fi
    done <"$1"
  fi
  [ ! -f "$2" ] || while read -r name was value; do set_boolean "$name" "$value"; done <"$2"
}

# ---- labels -----------------------------------------------------------------------------------------------------------

# set_labels PLACES [CONTEXTS]: label what the entries of PLACES name, by the file contexts of the host or those given.
set_labels() {
  [ "$relabel" = yes ] || return 0
  spec=${2:-$contexts/file_contexts}
  while IFS='	' read -r kind path pattern; do
    [ -e "$root$path" ] || continue
    case $kind in
      tree) setfiles -F ${root:+-r "$root"} "$spec" "$root$path" >/dev/null || warn "$path could not be labelled" ;;
      file) label_one "$path" ;;
      pattern)
        # "." stands for the root, whatever characters that holds.
        (cd "${root:-/}" && find ".$path" -xdev -regextype posix-extended -regex "[.]$pattern" -print) \
          >"$scratch/found" 2>/dev/null || :
        while IFS= read -r file; do label_one "${file#.}"; done <"$scratch/found" ;;
    esac
  done <"$1"
}

# The label that $spec has for a path of the host; setfiles and restorecon would go down into a directory.
wanted_label() { # PATH
  case $(find "$root$1" -maxdepth 0 -printf %y) in
    l) mode=lnk_file ;; d) mode=dir ;; c) mode=chr_file ;; b) mode=blk_file ;; s) mode=sock_file ;; p) mode=pipe ;;
    *) mode="file" ;;
  esac
  matchpathcon -f "$spec" -m "$mode" -n -- "$1" 2>/dev/null
}

label_one() { # PATH
  wanted=$(wanted_label "$1") || wanted=
  case $wanted in
    '' | '<<none>>') ;;
    *) chcon -h -- "$wanted" "$root$1" || warn "$1 could not be labelled" ;;
  esac
}

# ---- what is written down ---------------------------------------------------------------------------------------------

# keep DIRECTORY: what an installation needs to be undone by whichever version's scripts.
keep() {
  mkdir -p "$1"
  for one in types places needs; do cp "$facts/$one" "$1/$one"; done
  cp "$module" "$1/"
  printf '%s %s\n' "$VERSION" "$target" >"$1/version"
}

# recover: what a run that was cut short began is finished where the module went in, and undone where it did not.
recover() {
  rm -rf "$state/next.new" "$state/current.new" "$state/undone"
  if [ -d "$state/next" ]; then
    if same_as_installed "$state/next"; then
      finish_install
    else
      [ "$live" = yes ] || change_booleans "$state/next/booleans" "$state/current/booleans"
      rm -rf "$state/next"
    fi
  fi
  if [ -d "$state/previous" ] && [ -d "$state/current" ] && ! same_as_installed "$state/current" &&
    same_as_installed "$state/previous"; then
    rm -rf "$state/current"
    mv "$state/previous" "$state/current"
  fi
  if [ ! -d "$state/current" ]; then rmdir "$state" 2>/dev/null || :; fi
}

# same_as_installed DIRECTORY: the module that is kept there is the installed one.
same_as_installed() {
  installed_here "$NAME" || return 1
  rm -rf "$scratch/there"
  mkdir "$scratch/there"
  (cd "$scratch/there" && semodule_ -X "$PRIORITY" -H -E "$NAME" >/dev/null)
  for one in "$scratch/there/$NAME".*; do
    cmp -s "$one" "$1/${one##*/}" || return 1
  done
}

finish_install() { # next becomes current, and current previous, where it was another version
  if [ -d "$state/current" ] && ! cmp -s "$state/current/version" "$state/next/version"; then
    rm -rf "$state/previous"
    mv "$state/current" "$state/previous"
  fi
  rm -rf "$state/current"
  mv "$state/next" "$state/current"
}

owned_types() { # DIRECTORY: as one regular expression
  sed 's/[.]/[.]/g' "$1/types" | paste -s -d '|' -
}
