# What changes the host: one transaction of modules and ports, booleans, labels. The other scripts source it. POSIX sh.
# shellcheck shell=sh disable=SC2034,SC2153,SC2154
# (The variables are those of common.sh.)

# ---- modules and ports, in one transaction ----------------------------------------------------------------------------

# put_in WITH MODULE PORTS: by semodule_ or semodule_try; the ports that are ours go as a module of their own. What
# semodule says is in $scratch/said.
put_in() {
  with=$1
  port_module "$3" >"$scratch/$HOST_MODULE.cil"
  # From where semodule's domain may read it.
  cp "$2" "$scratch/${2##*/}"
  set -- -X "$PRIORITY" -i "$scratch/${2##*/}"
  if [ -s "$scratch/$HOST_MODULE.cil" ]; then
    set -- "$@" -i "$scratch/$HOST_MODULE.cil"
  elif installed_here "$HOST_MODULE"; then
    set -- "$@" -r "$HOST_MODULE"
  fi
  transact "$with" "$@"
}

port_module() { # PORTS
  while read -r protocol number type; do
    printf '(portcon %s %s (system_u object_r %s ((s0) (s0))))\n' "$protocol" "$number" "$type"
  done <"$1"
}

# take_out WITH: the module and its ports, as far as they are there.
take_out() {
  with=$1
  set --
  for one in "$NAME" "$HOST_MODULE"; do
    ! installed_here "$one" || set -- "$@" -r "$one"
  done
  [ $# -eq 0 ] || transact "$with" -X "$PRIORITY" "$@"
}

# What it says comes through a pipe: a tool that semodule runs may be in a domain that writes to no file here.
transact() { # WITH ARGUMENT...
  [ "$1" != semodule_ ] || rm -f "$scratch/listed"
  status=0
  told=$("$@" 2>&1) || status=$?
  printf '%s\n' "$told" >"$scratch/said"
  return "$status"
}

# ---- booleans ---------------------------------------------------------------------------------------------------------
#
# A record has a line for each that was changed: its name, what the store said of it (- for nothing), what it is now,
# and what it was in the running kernel (- without one).

local_boolean() { # NAME: 1, 0, or - where the store has no setting of its own
  { [ ! -f "$active/booleans.local" ] || cat "$active/booleans.local"; } | awk -v name="$1" '
    { key = $0; sub(/[ \t]*=.*/, "", key); sub(/^[^=]*=[ \t]*/, "") }
    key == name { value = ($0 ~ /^(1|true|on)/) ? 1 : 0; found = 1 }
    END { print found ? value : "-" }'
}

default_boolean() { # NAME: as the policy declares it
  declared
  awk -v name="$1" '$1 == "boolean" && $2 == name { print ($3 == "true") ? 1 : 0 }' "$scratch/declared" | tail -n 1
}

lasting_boolean() { # NAME: as it will be after the next boot
  value=$(local_boolean "$1")
  [ "$value" != - ] || value=$(default_boolean "$1")
  printf '%s\n' "$value"
}

running_boolean() { # NAME: as it is now; - without a running kernel
  if [ "$live" = yes ]; then
    getsebool "$1" 2>/dev/null | awk '{ print ($3 == "on") ? 1 : 0 }'
  else
    printf '%s\n' -
  fi
}

# store_boolean NAME VALUE: in the store's own file of them, which the next transaction builds in.
store_boolean() {
  file=$active/booleans.local
  { [ ! -f "$file" ] || cat "$file"; } | awk -v name="$1" -v value="$2" '
    { key = $0; sub(/[ \t]*=.*/, "", key) }
    key != name { print; next }
    value != "-" && !done { print name "=" value; done = 1 }
    END { if (value != "-" && !done) print name "=" value }' >"$scratch/booleans"
  if [ -s "$scratch/booleans" ]; then
    if [ -f "$file" ] && cmp -s "$scratch/booleans" "$file"; then return 0; fi
    [ ! -f "$file" ] || cp -p "$file" "$scratch/new"
    cat "$scratch/booleans" >"$scratch/new"
    mv "$scratch/new" "$file"
  else
    rm -f "$file"
  fi
}

# store_booleans FROM TO: from what one record changed to what another does; a file that is not there changed nothing.
# What somebody has set otherwise since is left alone.
store_booleans() {
  if [ -f "$1" ]; then
    while read -r name was value _; do
      if ! grep -qs "^$name " "$2" && [ "$(local_boolean "$name")" = "$value" ]; then store_boolean "$name" "$was"; fi
    done <"$1"
  fi
  [ ! -f "$2" ] || while read -r name _ value _; do store_boolean "$name" "$value"; done <"$2"
}

# run_booleans FROM TO: the same in the running kernel, where the transaction does not change them.
run_booleans() {
  [ "$live" = yes ] || return 0
  if [ -f "$1" ]; then
    while read -r name _ value ran; do
      if ! grep -qs "^$name " "$2" && [ "$(running_boolean "$name")" = "$value" ]; then run_boolean "$name" "$ran"; fi
    done <"$1"
  fi
  [ ! -f "$2" ] || while read -r name _ value _; do run_boolean "$name" "$value"; done <"$2"
}

run_boolean() { # NAME VALUE
  [ "$2" != - ] || return 0
  [ "$(running_boolean "$1")" = "$2" ] || setsebool "$1=$2" || warn "boolean $1 could not be set to $2"
}

# wanted_booleans: which of the wanted ones have to be changed, as a record.
wanted_booleans() {
  while read -r name value; do
    # What an earlier version of ours changed, and nobody since, is still ours to put back.
    ours=$(awk -v name="$name" '$1 == name' "$state/current/booleans" 2>/dev/null || :)
    if [ -n "$ours" ] && [ "$(local_boolean "$name")" = "$(printf '%s\n' "$ours" | awk '{ print $3 }')" ]; then
      printf '%s\n' "$ours" | awk -v value="$value" '{ print $1, $2, value, $4 }'
    elif [ "$(lasting_boolean "$name")" != "$value" ]; then
      printf '%s %s %s %s\n' "$name" "$(local_boolean "$name")" "$value" "$(running_boolean "$name")"
    fi
  done <"$facts/booleans"
}

# ---- labels -----------------------------------------------------------------------------------------------------------

# set_labels PLACES [CONTEXTS]: label what the entries of PLACES name, by the file contexts of the host or those given.
set_labels() {
  [ "$relabel" = yes ] && [ -f "$1" ] || return 0
  spec=${2:-$contexts/file_contexts}
  while IFS='	' read -r kind path pattern; do
    [ -e "$root$path" ] || continue
    if [ "$kind" = tree ]; then
      setfiles -F ${root:+-r "$root"} "$spec" "$root$path" </dev/null >/dev/null || warn "$path could not be labelled"
    else
      files_at "$kind" "$path" "$pattern" | tr '\n\000' '\001\n' >"$scratch/found"
      while IFS= read -r file; do
        case $file in *"$(printf '\001')"*) warn "a file below $path has a line break in its name: not labelled" ;;
          *) label_one "${file#"$root"}" ;;
        esac
      done <"$scratch/found"
    fi
  done <"$1"
}

files_at() ( # KIND PATH PATTERN: what the entry labels, each name ended by NUL
  case $1 in
    tree) find "$root$2" -print0 ;;
    file) printf '%s\000' "$root$2" ;;
    # "." stands for the root, whatever characters that holds.
    pattern)
      cd "${root:-/}" || exit 1
      find ".$2" -xdev -regextype posix-extended -regex "[.]$3" -print0 2>/dev/null |
        tr '\n\000' '\001\n' | sed 's/^[.]//' | while IFS= read -r file; do printf '%s\n' "$root$file"; done |
        tr '\n\001' '\000\n' ;;
  esac
)

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

# host_contexts TYPES: the host's file contexts without those entries, in $scratch/contexts.
host_contexts() {
  rm -rf "$scratch/contexts"
  mkdir "$scratch/contexts"
  for file in "$contexts"/file_contexts "$contexts"/file_contexts.*; do
    case $file in *.bin) continue ;; esac
    [ -f "$file" ] || continue
    if [ -n "$1" ]; then
      grep -vE ":($1)(:|[[:space:]]|\$)" "$file" >"$scratch/contexts/${file##*/}" || :
    else
      cp "$file" "$scratch/contexts/"
    fi
  done
}

labels_of() { # reads names ended by NUL, writes "LABEL<tab>PATH" lines; a name with a line break is left out
  xargs -0 -r /usr/bin/stat --printf='%C\t%n\000' 2>/dev/null | tr '\n\000' '\001\n' | grep -av "$(printf '\001')" || :
}

# note_labels PLACES TYPES: how the files are labelled that are labelled neither as the host's file contexts say nor by
# us (a volume that somebody relabelled, say), so that they can be again. To $state/labels.
note_labels() {
  [ "$relabel" = yes ] || return 0
  host_contexts "$2"
  spec=$scratch/contexts/file_contexts
  while IFS='	' read -r kind path pattern; do
    [ ! -e "$root$path" ] || odd_at "$kind" "$path" "$pattern"
  done <"$1" >"$scratch/odd"
  { [ ! -f "$state/labels" ] || cat "$state/labels"; } >"$state/labels.new"
  # Noted is what was there first.
  known=$state/labels.new awk -F '\t' -v types="$2" '
    function path(line) { return substr(line, index(line, "\t") + 1) }
    BEGIN { while ((getline line < ENVIRON["known"]) > 0) seen[path(line)] = 1 }
    split($1, part, ":") > 2 && !(path($0) in seen) && (types == "" || part[3] !~ "^(" types ")$")' \
    "$scratch/odd" >"$scratch/noted"
  cat "$scratch/noted" >>"$state/labels.new"
  if [ -s "$state/labels.new" ]; then mv "$state/labels.new" "$state/labels"; else rm -f "$state/labels.new"; fi
}

# odd_at KIND PATH PATTERN: the files there that $spec would have otherwise, with their labels.
odd_at() {
  if [ "$1" = tree ]; then
    # Through a pipe, since setfiles runs in a domain of its own that may not write here.
    { setfiles -n -v -F ${root:+-r "$root"} "$spec" "$root$2" </dev/null 2>/dev/null || :; } | cat >"$scratch/would"
    [ -s "$scratch/would" ] || return 0
    # A name can hold what looks like another line: which files there are, and how they are labelled, says stat.
    files_at tree "$2" | labels_of | would=$scratch/would awk '
      BEGIN {
        while ((getline line < ENVIRON["would"]) > 0)
          if (match(line, / from [^ ]* to [^ ]*$/)) told[substr(line, 15, RSTART - 15)] = 1
      }
      substr($0, index($0, "\t") + 1) in told'
  else
    files_at "$1" "$2" "$3" | labels_of | while IFS='	' read -r label file; do
      [ "$(wanted_label "${file#"$root"}")" = "$label" ] || printf '%s\t%s\n' "$label" "$file"
    done
  fi | while IFS='	' read -r label file; do printf '%s\t%s\n' "$label" "${file#"$root"}"; done
}

# noted_of TYPES: of the noted files those that are labelled as one of the types now.
noted_of() {
  [ -n "$1" ] && [ -f "$state/labels" ] || return 0
  while IFS='	' read -r label file; do
    if stat -c %C -- "$root$file" 2>/dev/null | grep -qE "^[^:]*:[^:]*:($1)(:|\$)"; then printf '%s\t%s\n' "$label" "$file"; fi
  done <"$state/labels"
}

# put_back FILE [TYPES]: the noted labels, but where a file has one of the types.
put_back() {
  [ "$relabel" = yes ] && [ -s "$1" ] || return 0
  while IFS='	' read -r label file; do
    [ -e "$root$file" ] || continue
    if [ -n "${2:-}" ] && stat -c %C -- "$root$file" 2>/dev/null | grep -qE "^[^:]*:[^:]*:($2)(:|\$)"; then continue; fi
    chcon -h -- "$label" "$root$file" || warn "$file could not be labelled $label again"
  done <"$1"
}

# ---- going in ---------------------------------------------------------------------------------------------------------

# make_current: $state/next becomes what is installed. Can be begun again wherever it was cut short.
make_current() {
  next_module=$(module_in "$state/next") || unable "$state/next is incomplete"
  store_booleans "$state/current/booleans" "$state/next/booleans"
  if ! put_in semodule_ "$next_module" "$state/next/ports"; then
    cat "$scratch/said" >&2
    undo_next
    forget_if_empty
    refuse "the module does not go into this host's policy; nothing was changed"
  fi
  run_booleans "$state/current/booleans" "$state/next/booleans"
  # What the version before labelled and this one does not goes back to what the host says, or to what was noted.
  set_labels "$state/current/places"
  set_labels "$state/next/places"
  put_back "$state/next/labels" "$(types_of "$state/next")"
  rm -f "$state/next/labels"
  if [ -f "$state/next/back" ]; then
    drop "$state/current"
  elif [ -d "$state/current" ] && ! same_record "$state/current" "$state/next"; then
    drop "$state/previous"
    mv "$state/current" "$state/previous"
  else
    drop "$state/current"
  fi
  mv "$state/next" "$state/current"
  settle_back
}

# settle_back: after a rollback there is nothing before what is installed; and what no bundle installed is not ours.
settle_back() {
  [ -f "$state/current/back" ] || return 0
  drop "$state/previous"
  went_back_to=$(cat "$state/current/version")
  if [ "$went_back_to" = "$FOREIGN" ]; then
    drop "$state"
    forget_if_empty
  else
    rm -f "$state/current/back"
  fi
}

# undo_next: its transaction was not made, so only the store's own file of booleans can have changed.
undo_next() {
  store_booleans "$state/next/booleans" "$state/current/booleans"
  drop "$state/next"
}

# begin_next DIRECTORY: what is about to go in. From here on a run that is cut short is seen by the next.
begin_next() {
  [ ! -d "$state/current" ] || noted_of "$(types_of "$state/current")" >"$1/labels"
  mv "$1" "$state/next"
}

# ---- going out --------------------------------------------------------------------------------------------------------

# prepare_removal RECORD: written down before anything is changed: the record, the labels to come back, and the local
# settings of the administrator before and after they are moved to other types ($scratch/moved).
prepare_removal() {
  mkdir -p "$state"
  rm -rf "$state/removing.new"
  mkdir "$state/removing.new" "$state/removing.new/before" "$state/removing.new/after"
  for one in types places booleans; do cp "$1/$one" "$state/removing.new/$one"; done
  noted_of "$(types_of "$1")" >"$state/removing.new/labels"
  if [ -d "$scratch/moved" ]; then
    for file in "$scratch/moved"/*.local; do
      [ -f "$file" ] || continue
      cp -p "$active/${file##*/}" "$state/removing.new/before/"
      cp -p "$file" "$state/removing.new/after/"
    done
  fi
  mv "$state/removing.new" "$state/removing"
}

# swap FROM TO: the local settings that are as in FROM are made as in TO.
swap() {
  for file in "$1"/*.local; do
    name=${file##*/}
    if [ -f "$file" ] && cmp -s "$file" "$active/$name"; then
      cp -p "$2/$name" "$scratch/new"
      mv "$scratch/new" "$active/$name"
    fi
  done
}

remove_labels() {
  host_contexts "$(types_of "$state/removing")"
  set_labels "$state/removing/places" "$scratch/contexts/file_contexts"
  put_back "$state/removing/labels"
}

# undo_removal: its transaction was not made.
undo_removal() {
  swap "$state/removing/after" "$state/removing/before"
  store_booleans /dev/null "$state/removing/booleans"
  set_labels "$state/removing/places"
  drop "$state/removing"
}

# finish_removal: the module is out, and all else that was changed for it goes too.
finish_removal() {
  store_booleans "$state/removing/booleans" /dev/null
  # Built anew in any case: the run before may have been cut short before what it built was put in place.
  if installed_here "$HOST_MODULE"; then take_out semodule_; else transact semodule_ -B; fi || {
    cat "$scratch/said" >&2
    unable "the policy of this host can't be built"
  }
  remove_labels
  forget
}

# forget: the last of a removal.
forget() {
  run_booleans "$state/removing/booleans" /dev/null
  drop "$state"
  [ ! -d "${state%/*}" ] || rmdir "${state%/*}" 2>/dev/null || :
}
