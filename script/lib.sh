# Shared by everything in script/: where the checkout is, which system this is, how to become root, where to work.
# Sourced, never run.
# shellcheck shell=bash

set -euo pipefail
unset CDPATH PYTHONPATH PYTHONHOME # another project's settings would reach every program started here
REPO=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034 # for those who source this
VENV=$REPO/.venv
ME=script/$(basename -- "$0")
# semodule and its kin live in sbin, which an ordinary user's PATH leaves out.
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C.UTF-8

readonly NEEDS_TOOL=4 # the exit code for "a needed tool or policy is missing", as of the polkit command itself

# say MESSAGE...: progress, on stderr; stdout is for results.
say() { printf '%s: %s\n' "$ME" "$*" >&2; }

# refuse CODE MESSAGE HINT: end here and say what to do about it.
refuse() {
  say "$2"
  [ -z "${3:-}" ] || printf '  %s\n' "$3" >&2
  exit "$1"
}

# quietly COMMAND...: run it with its output kept back, and shown only when it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1) || status=$?
  [ "$status" -eq 0 ] || printf '%s\n' "$output" >&2
  return "$status"
}

# os_release FIELD: a field of os-release(5), empty where there is none. POLKIT_OS_RELEASE names another file.
os_release() {
  local file=${POLKIT_OS_RELEASE:-/etc/os-release}
  [ -r "$file" ] || return 0
  (
    set +u
    # shellcheck disable=SC1090
    . "$file"
    printf '%s\n' "${!1}"
  )
}

# os_family: `debian` or `fedora` for these and what is like them; anything else is refused.
os_family() {
  local id
  for id in $(os_release ID) $(os_release ID_LIKE); do
    case $id in
      debian | ubuntu) echo debian && return ;;
      fedora | rhel | centos) echo fedora && return ;;
    esac
  done
  id=$(os_release PRETTY_NAME)
  refuse "$NEEDS_TOOL" "this system is none we know how to set up: ${id:-it has no os-release}" \
    "Use Debian, Ubuntu, Fedora or RHEL (a container of one will do): SELinux' Python bindings come with the distribution."
}

can_be_root() { [ "$EUID" -eq 0 ] || command -v sudo >/dev/null; }

# as_root COMMAND...: by sudo where we are not root; it asks for a password only where somebody can type one.
as_root() {
  if [ "$EUID" -eq 0 ]; then
    "$@"
  elif { : </dev/tty; } 2>/dev/null; then
    sudo -- "$@"
  else
    sudo -n -- "$@"
  fi
}

# with_lock NAME: wait until no other run holds the lock, then hold it until this script ends.
with_lock() {
  mkdir -p "$REPO/.cache"
  exec 9>"$REPO/.cache/$1.lock"
  flock 9
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

# install_packages FAMILY PACKAGE...: with the distribution's own tool, and nothing that is merely recommended.
install_packages() {
  local family=$1
  shift
  can_be_root || refuse "$NEEDS_TOOL" "missing packages: $*" "There is no sudo here: install them as root, then run this again."
  say "installing $*"
  case $family in
    debian)
      # One broken third-party source must not stop us: whether the packages can be had shows in the next step.
      quietly apt update || say "apt-get update did not get everything; going on"
      quietly apt install --no-install-recommends "$@"
      ;;
    fedora) quietly as_root dnf -q -y install --setopt=install_weak_deps=False "$@" ;;
  esac || refuse "$NEEDS_TOOL" "could not install: $*" "Install them by hand, then run $ME again."
}

SCRATCH=()
drop_scratch() { [ ${#SCRATCH[@]} -eq 0 ] || rm -rf -- "${SCRATCH[@]}"; }
trap drop_scratch EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# new_scratch MIB: sets NEW_SCRATCH to an empty folder with that much room, in memory where possible; gone at exit.
# Never in a folder with a blank in its name: make(1) cannot work there.
new_scratch() {
  local base
  for base in /dev/shm "${TMPDIR:-/tmp}" /tmp; do
    [[ -w $base && $base != *[[:space:]]* ]] || continue
    [ "$(df --output=avail --block-size=1M -- "$base" | tail -n 1)" -ge "$1" ] || continue
    NEW_SCRATCH=$(mktemp -d -- "$base/polkit.XXXXXXXX")
    SCRATCH+=("$NEW_SCRATCH")
    return
  done
  refuse 1 "no temporary folder has $1 MB free" "Make room in /tmp, or name another folder in TMPDIR."
}

# store_type ROOT: the policy's name (`default`, `targeted`), as etc/selinux/config says.
store_type() { sed -n 's/^SELINUXTYPE=\([A-Za-z0-9_-]*\).*/\1/p' "$1/etc/selinux/config" | tail -n 1; }

# binary_policy ROOT: the newest binary policy inside a policy root; fails where there is none.
binary_policy() {
  local found
  found=$(find "${1%/}/etc/selinux/$(store_type "$1")/policy" -name 'policy.[0-9]*' 2>/dev/null | sort -V | tail -n 1)
  [ -n "$found" ] && printf '%s\n' "$found"
}
