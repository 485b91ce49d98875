# What the host has, and whether a module may go in or out. The other scripts source it. POSIX sh.
# shellcheck shell=sh disable=SC2034,SC2153,SC2154
# (The variables are those of common.sh.)

semodule_() { # ARGUMENT...: nothing is loaded but into a running kernel
  if [ -n "$root" ]; then
    semodule -p "$root" -s "$store" -N "$@"
  elif [ "$live" = yes ]; then
    semodule -s "$store" "$@"
  else
    semodule -s "$store" -N "$@"
  fi
}

# ---- modules ----------------------------------------------------------------------------------------------------------

# listed: every module as "priority name language", with "disabled" where it is.
listed() {
  if [ ! -f "$scratch/listed" ]; then
    semodule_ -lfull >"$scratch/listed.new" 2>"$scratch/said" || {
      cat "$scratch/said" >&2
      unable "the modules of $active can't be listed" "run as root"
    }
    mv "$scratch/listed.new" "$scratch/listed"
  fi
  cat "$scratch/listed"
}

# priorities_of MODULE: at which priorities it stands, on one line.
priorities_of() { listed | awk -v name="$1" '$2 == name { printf "%s%d", sep, $1; sep = " " }'; }

installed_here() { # MODULE
  case " $(priorities_of "$1") " in *" $PRIORITY "*) return 0 ;; esac
  return 1
}

# elsewhere MODULE: the priorities besides ours.
elsewhere() { priorities_of "$1" | tr ' ' '\n' | grep -vx "$PRIORITY" | paste -s -d ' ' - || :; }

refuse_elsewhere() {
  for one in "$NAME" "$HOST_MODULE"; do
    others=$(elsewhere "$one")
    [ -z "$others" ] || refuse "the host has a module $one at priority $others, and one of the two would hide the other" \
      "remove that first: semodule -X ${others%% *} -r $one"
  done
}

# ---- what the policy has ----------------------------------------------------------------------------------------------

# declared: what the policy has, one name a line, in $scratch/declared: type X (attributes and aliases too), role X,
# class X, perm CLASS X, boolean X VALUE, port PROTOCOL LOW HIGH TYPE. Modules of ours are left out.
declared() {
  [ ! -f "$scratch/declared" ] || return 0
  listed | awk '$4 != "disabled" && (!($2 in best) || $1 + 0 > best[$2]) { best[$2] = $1 + 0 }
    END { for (name in best) print best[name], name }' | sort >"$scratch/modules"
  while read -r priority name; do
    case $name in "$NAME" | "$HOST_MODULE") continue ;; esac
    file=$active/modules/$priority/$name/cil
    [ -f "$file" ] || continue
    bzip2 -dc "$file" 2>/dev/null || cat "$file"
  done <"$scratch/modules" | sed -E 's/[(](type|typealias|typeattribute|role|roleattribute|boolean|tunable|class|common|classcommon|portcon) /\n&/g' | awk '
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
    }' | sort -u >"$scratch/declared.new"
  grep -q '^type ' "$scratch/declared.new" || unable "the modules under $active can't be read" "run as root"
  mv "$scratch/declared.new" "$scratch/declared"
}

# missing FILE: the lines of FILE that the policy lacks.
missing() {
  declared
  sed 's/^attribute /type /; s/^boolean \([^ ]*\).*/boolean \1/' "$1" | sort -u >"$scratch/needed"
  sed 's/^boolean \([^ ]*\).*/boolean \1/' "$scratch/declared" | sort -u | comm -23 "$scratch/needed" -
}

# port_label PROTOCOL NUMBER: the type that somebody gave the port: an administrator, or a module, exactly this port or
# a range with it. The ranges that every port lies in give it none.
port_label() {
  sed -n 's/^portcon \([a-z]*\) \([0-9]*\)-*\([0-9]*\) [^:]*:[^:]*:\([A-Za-z0-9_.-]*\).*/\1 \2 \3 \4/p' \
    "$active/ports.local" 2>/dev/null |
    awk -v protocol="$1" -v number="$2" '{ if (NF == 3) { $4 = $3; $3 = $2 } }
      $1 == protocol && $2 + 0 <= number && number <= $3 + 0 { print $4 }' | tail -n 1 >"$scratch/port"
  if [ ! -s "$scratch/port" ]; then
    declared
    awk -v protocol="$1" -v number="$2" '
      $1 == "port" && $2 == protocol && $3 + 0 <= number && number <= $4 + 0 &&
        $5 !~ /^((hi_)?reserved_|unreserved_|ephemeral_)?port_t$/ && (!width || $4 - $3 < width) {
          width = $4 - $3 + 1; type = $5 }
      END { if (type) print type }' "$scratch/declared" >"$scratch/port"
  fi
  cat "$scratch/port"
}

# ---- would the policy still build? ------------------------------------------------------------------------------------

# new_copy CHECK: a copy of the store, to be built with neverallow rules and type bounds checked (1) or not (0). Of the
# settings it has those that decide what is built, and none that names a program.
new_copy() {
  rm -rf "$scratch/try"
  mkdir -p "$scratch/try/etc/selinux" "$scratch/try/var/lib/selinux/$store"
  if ! cp -R "$root/etc/selinux/$store" "$scratch/try/etc/selinux/" ||
    ! cp -R "$active" "$scratch/try/var/lib/selinux/$store/active"; then
    unable "the module store can't be copied to $scratch" "make room: a copy takes up to 100 MB"
  fi
  {
    sed -nE '/^[[:space:]]*(module-store|policy-version|usepasswd|ignoredirs|bzip-blocksize|bzip-small|handle-unknown|optimize-policy|target-platform|multiple-decls|remove-hll|disable-genhomedircon|file-mode)[[:space:]]*=/p' \
      "$root/etc/selinux/semanage.conf" 2>/dev/null || :
    printf 'expand-check=%s\n' "$1"
  } >"$scratch/try/etc/selinux/semanage.conf"
}

semodule_try() { semodule -p "$scratch/try" -s "$store" -N "$@"; }

# broken FILE: from what semodule said, each rule that is broken, with what breaks it, a line each.
broken() {
  awk '
    { line = $0; gsub(/^[ \t]+|[ \t]+$/, "", line) }
    /exceeds bounds/ { head = line; print head; next }
    /^[ \t]*\(neverallow/ { head = line; next }
    head != "" && line ~ /^(\(|Only first)/ { print head " by " line }' "$1" | sort -u
}

# would_build MODULE PORTS: whether this host's policy takes the module, and breaks no neverallow rule and no type bound
# that it does not break by itself (Fedora's store breaks thirteen). Else what is wrong is in $scratch/wrong.
would_build() {
  new_copy 1
  if put_in semodule_try "$1" "$2"; then return 0; fi
  cp "$scratch/said" "$scratch/wrong"
  broken "$scratch/said" >"$scratch/broken"
  [ -s "$scratch/broken" ] || return 1
  new_copy 1
  : >"$scratch/accepted"
  semodule_try -B >"$scratch/said" 2>&1 || broken "$scratch/said" >"$scratch/accepted"
  if comm -23 "$scratch/broken" "$scratch/accepted" | grep . >"$scratch/new"; then
    mv "$scratch/new" "$scratch/wrong"
    return 1
  fi
  new_copy 0
  if put_in semodule_try "$1" "$2"; then return 0; fi
  mv "$scratch/said" "$scratch/wrong"
  return 1
}

# ---- who uses the module's types --------------------------------------------------------------------------------------

# running_in TYPES: the processes whose domain is one of them.
running_in() {
  [ "$live" = yes ] && [ -n "$1" ] || return 0
  for one in /proc/[0-9]*; do
    label=$(cat "$one"/task/[0-9]*/attr/current 2>/dev/null | tr '\000' '\n') || continue
    if printf '%s\n' "$label" | grep -qE "^[^:]*:[^:]*:($1)(:|\$)"; then
      # One that ended, and that its parent has not asked for yet, runs no more.
      case $(sed 's/.*) //' "$one/stat" 2>/dev/null) in Z* | X* | '') ;; *) printf '%s ' "${one#/proc/}" ;; esac
    fi
  done
}

# settings_on TYPES: the local settings of the administrator that name one of them, as "FILE: LINE".
settings_on() {
  [ -n "$1" ] || return 0
  for file in "$active"/*.local; do
    [ -f "$file" ] || continue
    grep -E ":($1)(:|[[:space:]]|\$)" "$file" | sed "s|^|${file##*/}: |" || :
  done
}

# refuse_in_use TYPES: where types are about to go.
refuse_in_use() {
  running=$(running_in "$1")
  [ -z "$running" ] || refuse "processes run in the module's domain: $running" "stop the workload first"
  settings_on "$1" >"$scratch/local"
  [ ! -s "$scratch/local" ] || {
    warn "local settings of this host name types of the module:"
    sed 's/^/  /' "$scratch/local" >&2
    refuse "they would be left without a type" "${2:-change them: semanage port, semanage fcontext}"
  }
}

# refuse_running RECORD: where what is installed is about to become that. Types that go must be unused; for the others a
# word that it is meant is enough.
refuse_running() {
  refuse_in_use "$(types_only_in "$state/current" "$1")"
  [ "$while_running" = no ] || return 0
  running=$(running_in "$(types_of "$state/current")")
  [ -z "$running" ] || refuse "processes run in the module's domain: $running" \
    "stop the workload first; or, since the domain stays: --while-running"
}
