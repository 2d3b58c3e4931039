# Shared by demo.sh and stop.sh: where things are, and how what was started is stopped.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pids=$root/demo-data/pids

# Stops the processes listed in the pid file: each line is a pid, the time it began (clock ticks after boot, so that a pid which
# was given to another process is left alone), and the signal that ends it.
stop_demo() {
    [ -f "$pids" ] || return 0
    local pid began signal
    while read -r pid began signal; do
        [ "$(began "$pid")" = "$began" ] && kill "-$signal" "$pid" 2>/dev/null
    done <"$pids"
    local tries=100
    while read -r pid began signal; do
        while [ "$(began "$pid")" = "$began" ] && ((tries-- > 0)); do sleep 0.1; done
        [ "$(began "$pid")" = "$began" ] && kill -KILL "$pid" 2>/dev/null
    done <"$pids"
    rm -f "$pids"
}

# When a process began, nothing where it does not run.
began() {
    [ -r "/proc/$1/stat" ] || return 0
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'
}
