"""What an administrator runs on the host in the machine, beside the bundle's own scripts."""

SNAPSHOT = r"""
# All that an installation could leave behind: files with their labels, booleans, the policy that the kernel has.
set -u
PATH=/usr/sbin:/usr/bin
places='/etc/selinux /var/lib/selinux /var/lib/selinux-bundles /srv'
find $places \( -path '*/active/modules/200' -o -name commit_num -o -name '*.LOCK' \) -prune -o -print 2>/dev/null |
  sort | while IFS= read -r path; do
    sum=
    [ -d "$path" ] || sum=$(sha256sum <"$path" | cut -c 1-16)
    printf '%s %s\n' "$(stat -c '%C %a %n' "$path")" "$sum"
  done
getsebool -a
sha256sum </sys/fs/selinux/policy
printf 'enforcing %s\n' "$(cat /sys/fs/selinux/enforce)"
"""

KILLED = r"""
# KILLED SECONDS DIRECTORY SCRIPT...: the script, killed with all that it runs so long after the directory was there.
seconds=$1 directory=$2
shift 2
setsid sh "$@" &
pid=$!
until [ -d "$directory" ]; do
  kill -0 "$pid" || exit 9
  sleep 0.2
done
sleep "$seconds"
kill -0 "$pid" || exit 8
kill -s KILL -- "-$pid"
wait "$pid"
[ $? -eq 137 ]
"""

STOP = r"""
# Ends every process of the module's domain.
for one in /proc/[0-9]*; do
  ! grep -q :vllm_t: "$one/attr/current" 2>/dev/null || kill -s KILL "${one#/proc/}"
done
sleep 1
"""
