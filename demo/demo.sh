#!/usr/bin/env bash
# The main job, end to end, on this machine: `make demo`.
#
#   demo.sh MILLRACE       the binary to run
#
# Environment: ROWS (transactions to begin with, 1000000), KEEP=1 (leave everything running),
# SOURCE_PORT, TARGET_PORT, REST_PORT (57301, 57302, 8083; the next free ones are taken).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

millrace=$1
rows=${ROWS:-1000000}
here=$root/demo
data=$root/demo-data
logs=$data/logs
export PGUSER=postgres PGCONNECT_TIMEOUT=10 LC_ALL=C.UTF-8 TZ=UTC
export PGOPTIONS="-c client_min_messages=warning -c TimeZone=UTC"
unset PGDATABASE PGPASSWORD PGSERVICE PGHOST PGPORT

# ---- what is said, and what happens at the end -------------------------------------------------------------------

bold='' plain=''
[ -t 1 ] && { bold=$(tput bold 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true); }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
step='starting'
fail() {
    reason=$*
    exit 1
}

finish() {
    local status=$?
    trap - EXIT
    if ((status != 0)); then
        printf '\nThe demo failed while %s.\n' "$step" >&2
        [ -z "${reason:-}" ] || printf '%s\n' "$reason" >&2
        printf 'Logs: %s\n' "$logs" >&2
        [ -s "$logs/millrace.log" ] && { echo "Last lines of millrace.log:"; tail -n 15 "$logs/millrace.log"; } >&2
    fi
    if [ "${KEEP:-}" != 1 ] || ((status != 0)); then
        stop_demo
        if ((status == 0)); then
            rm -rf "$data" "$clusters"
        fi
    fi
    exit "$status"
}
trap finish EXIT
trap 'step="$step (interrupted)"; exit 130' INT TERM

now() { date +%s.%N; }
seconds_since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }
commas() { sed -E ':a; s/([0-9])([0-9]{3})($|[^0-9])/\1,\2\3/; ta' <<<"$1"; }

# ---- programs ------------------------------------------------------------------------------------------------------

bin=${MILLRACE_PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
[ -x "$bin/postgres" ] || fail "There is no PostgreSQL in /usr/lib/postgresql. Run: make setup"
# PostgreSQL refuses to run as root. An array and not a function, so that $! is the server and no shell around it.
as_owner=()
[ "$(id -u)" != 0 ] || as_owner=(setpriv --reuid=postgres --regid=postgres --init-groups)

# Ends with the demo: pid, its beginning, the signal.
remember() { echo "$1 $(began "$1") $2" >>"$pids"; }

free_port() {
    local port=$1
    while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}

source_sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$source_port" -d shop "$@"; }
target_sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$target_port" -d copy "$@"; }

start_cluster() { # name, port, settings…
    local name=$1 port=$2
    shift 2
    local folder=$clusters/$name
    mkdir -p "$folder"
    if [ "$(id -u)" = 0 ]; then chown postgres: "$folder"; fi
    "${as_owner[@]}" "$bin/initdb" -D "$folder" -U postgres -A trust -E UTF8 --locale=C.UTF-8 >"$logs/$name.initdb.log" 2>&1
    cat >>"$folder/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
shared_buffers = '256MB'
max_wal_size = '4GB'
checkpoint_timeout = '30min'
wal_level = logical
CONF
    printf '%s\n' "$@" >>"$folder/postgresql.conf"
    "${as_owner[@]}" "$bin/postgres" -D "$folder" >>"$logs/$name.log" 2>&1 </dev/null &
    remember $! QUIT
    disown $!
    wait_until 60 "PostgreSQL '$name' takes connections" \
        "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"
}

wait_until() { # seconds, what, command…
    local limit=$1 what=$2 begun=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS - begun < limit)) || fail "Not within $limit s: $what."
        sleep 0.1
    done
}

start_millrace() {
    setsid "$millrace" serve --data-dir "$data/millrace" --listen "127.0.0.1:$rest_port" \
        >>"$logs/millrace.log" 2>&1 </dev/null &
    millrace_pid=$!
    remember "$millrace_pid" TERM
    disown "$millrace_pid"
    local begun=$SECONDS
    until curl -sf "http://127.0.0.1:$rest_port/health" >/dev/null; do
        [ -n "$(began "$millrace_pid")" ] || fail 'millrace has ended by itself.'
        ((SECONDS - begun < 30)) || fail "millrace does not answer on port $rest_port after 30 s."
        sleep 0.05
    done
}

register() { # name, file
    local status
    status=$(curl -s -o "$logs/register-$1.json" -w '%{http_code}' -X POST "http://127.0.0.1:$rest_port/connectors" \
        -H 'Content-Type: application/json' --data "@$2")
    [ "$status" = 201 ] || fail "Connector '$1' was refused with $status: $(cat "$logs/register-$1.json")"
}

task_failure() { # connector
    curl -s "http://127.0.0.1:$rest_port/connectors/$1/status" | python3 -c '
import json, sys
for task in json.load(sys.stdin).get("tasks", []):
    if task["state"] == "FAILED":
        print(task.get("trace", "no reason given"))' 2>/dev/null || true
}

beat_arrived() { [ "$(target_sql -c "select 1 from heartbeat where id >= $1 limit 1" 2>/dev/null)" = 1 ]; }

wait_for_beat() { # beat, seconds, what
    local begun=$SECONDS failure
    until beat_arrived "$1"; do
        for name in payments payments-copy; do
            failure=$(task_failure $name)
            [ -z "$failure" ] || fail "The task of connector '$name' has failed: $failure"
        done
        ((SECONDS - begun < $2)) || fail "Not within $2 s: $3."
        sleep 0.05
    done
}

# ---- 1. the databases --------------------------------------------------------------------------------------------------

stop_demo
rm -rf "$data"
mkdir -p "$logs"
clusters=$data/clusters
mkdir -p "$clusters"
if ! "${as_owner[@]}" test -x "$clusters"; then
    # PostgreSQL's user may not pass through the folders above this one.
    clusters=$(mktemp -d /tmp/millrace-demo-XXXXXX)
    chmod 755 "$clusters"
fi
source_port=$(free_port "${SOURCE_PORT:-57301}")
target_port=$(free_port "${TARGET_PORT:-57302}")
[ "$target_port" != "$source_port" ] || target_port=$(free_port $((source_port + 1)))
rest_port=$(free_port "${REST_PORT:-8083}")

title "1. A card issuer's database"
step='starting the databases'
start_cluster source "$source_port"
start_cluster target "$target_port" 'track_commit_timestamp = on'
"$bin/createdb" -h 127.0.0.1 -p "$source_port" shop
"$bin/createdb" -h 127.0.0.1 -p "$target_port" copy
say "PostgreSQL $(source_sql -c 'show server_version'), source on port $source_port, target on port $target_port"
step='generating the payments'
begun=$(now)
source_sql -f "$here/schema.sql"
source_sql -v rows="$rows" -f "$here/generate.sql" >/dev/null
source_sql -f "$here/writer.sql"
total=$(source_sql -c 'select (select count(*) from customers) + (select count(*) from cards)
    + (select count(*) from merchants) + (select count(*) from transactions)')
say "$(commas "$(source_sql -c 'select count(*) from customers')") customers," \
    "$(commas "$(source_sql -c 'select count(*) from cards')") cards," \
    "$(commas "$(source_sql -c 'select count(*) from merchants')") merchants," \
    "$(commas "$rows") transactions, generated in $(seconds_since "$begun") s"

# ---- 2. the full load ----------------------------------------------------------------------------------------------------

title "2. Full load"
step='starting the full load'
cat >"$data/source.json" <<JSON
{
  "name": "payments",
  "config": {
    "connector.class": "postgres",
    "database.hostname": "127.0.0.1",
    "database.port": "$source_port",
    "database.user": "postgres",
    "database.password": "not-needed-here",
    "database.dbname": "shop",
    "topic.prefix": "shop",
    "slot.name": "millrace",
    "publication.name": "millrace",
    "snapshot.max.threads": "2"
  }
}
JSON
cat >"$data/sink.json" <<JSON
{
  "name": "payments-copy",
  "config": {
    "connector.class": "postgres-sink",
    "source": "payments",
    "connection.url": "postgresql://127.0.0.1:$target_port/copy",
    "connection.username": "postgres",
    "connection.password": "not-needed-here"
  }
}
JSON
start_millrace
say "millrace serve: http://127.0.0.1:$rest_port, log in ${logs#"$root"/}/millrace.log"
load_begun=$(now)
for pair in payments:source payments-copy:sink; do
    say "curl -X POST http://127.0.0.1:$rest_port/connectors -H 'Content-Type: application/json' --data @demo-data/${pair#*:}.json"
    register "${pair%:*}" "$data/${pair#*:}.json"
done
slot_there() { [ "$(source_sql -c "select 1 from pg_replication_slots where slot_name = 'millrace'")" = 1 ]; }
wait_until 30 'the source has its replication slot' slot_there
step='loading'
# Streamed behind the load: when it has arrived, the load has.
source_sql -c 'insert into heartbeat values (0, clock_timestamp())'
polls=0
until beat_arrived 0; do
    loaded=$(target_sql -c 'select count(*) from transactions' 2>/dev/null || echo 0)
    if [ -t 1 ]; then
        awk -v done="$loaded" -v all="$rows" -v t="$(seconds_since "$load_begun")" 'BEGIN {
            part = all > 0 ? done / all : 1; if (part > 1) part = 1; bar = ""
            for (i = 0; i < 40; i++) bar = bar (i < part * 40 ? "#" : ".")
            eta = done > 0 ? sprintf("%.0f s left", t * (1 - part) / part) : ""
            printf "\r  [%s] %3d %%  %d rows/s  %s      ", bar, part * 100, done / (t + 0.001), eta }'
    elif ((polls % 20 == 0)); then
        say "$(commas "$loaded") of $(commas "$rows") transactions after $(seconds_since "$load_begun") s"
    fi
    polls=$((polls + 1))
    ((polls < 1200)) || fail "The full load has not arrived within five minutes."
    if ((polls % 10 == 0)); then
        for name in payments payments-copy; do
            failure=$(task_failure $name)
            [ -z "$failure" ] || fail "The task of connector '$name' has failed: $failure"
        done
    fi
    sleep 0.25
done
load_seconds=$(seconds_since "$load_begun")
load_rate=$(awk -v n="$total" -v t="$load_seconds" 'BEGIN { printf "%d", n / t }')
[ -t 1 ] && printf '\r%-90s\r' ''
say "$(commas "$total") rows in $load_seconds s"

# ---- 3. live changes, and a kill ----------------------------------------------------------------------------------------

title "3. Live: inserts, updates, deletes, a new column, a transaction of 200,000 rows, and kill -9"
step='replicating live changes'
changes() {
    source_sql -c "select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables where schemaname = 'public'"
}
changes_before=$(changes)
live_begun=$(now)
source_sql -c 'call demo.write_payments(0.7)' >"$logs/writer.log" 2>&1 &
writer_pid=$!
remember "$writer_pid" TERM
writer_runs() { kill -0 "$writer_pid" 2>/dev/null || fail "The live writer has ended: $(cat "$logs/writer.log")"; }
sleep 5 # the show: let it be seen for a while
writer_runs
say "writing for $(seconds_since "$live_begun") s; adding a column to transactions"
source_sql -c 'alter table transactions add column channel text'
source_sql -c "update transactions set channel = 'contactless' where id <= 5000"
sleep 3
say 'a transaction of 200,000 rows'
big_begun=$(now)
source_sql -c "insert into transactions (card_id, merchant_id, amount, currency, category, at, city, status, is_fraud, channel)
    select 1 + i % 1900, 1 + i % 800, -5.00, 'EUR', 'cashback', now(), 'Wien', 'settled', false, 'campaign'
    from generate_series(1, 200000) i"
say "committed after $(seconds_since "$big_begun") s; kill -9 $millrace_pid"
before_kill=$(source_sql -c 'select clock_timestamp()')
step='recovering from kill -9'
kill_begun=$(now)
kill -9 "$millrace_pid"
while [ -n "$(began "$millrace_pid")" ]; do sleep 0.01; done
writer_runs
start_millrace
beat=$(source_sql -c 'select max(id) from heartbeat')
wait_for_beat "$beat" 60 'the target has caught up after kill -9'
recovery_seconds=$(seconds_since "$kill_begun")
after_recovery=$(source_sql -c 'select clock_timestamp()')
say "started again; the target had caught up $recovery_seconds s after the kill"
step='replicating live changes'
sleep 4
writer_runs
source_sql -c 'insert into demo.stop_writer values (1)'
wait "$writer_pid" || fail "The live writer failed: $(cat "$logs/writer.log")"
live_seconds=$(seconds_since "$live_begun")
drain_begun=$(now)
last_beat=$(source_sql -c "insert into heartbeat select max(id) + 1, clock_timestamp() from heartbeat returning id")
wait_for_beat "$last_beat" 60 'the last change has arrived'
drain_seconds=$(seconds_since "$drain_begun")
sleep 1 # until the source's statistics have been flushed
live_changes=$(($(changes) - changes_before))

# ---- 4. the comparison ------------------------------------------------------------------------------------------------------

title "4. Row by row"
step='comparing source and target'
lag=$(target_sql -F ' ' -c "
    select round(1000 * percentile_cont(0.5) within group (order by lag)),
           round(1000 * percentile_cont(0.99) within group (order by lag)), round(1000 * max(lag))
    from (select extract(epoch from pg_xact_commit_timestamp(xmin) - at) as lag from heartbeat
          where id > 0 and (at < '$before_kill' or at > '$after_recovery')) as beats")
read -r lag_median lag_99 lag_max <<<"$lag"
equal=yes
printf '  %-14s %14s %14s   %s\n' table 'rows in source' 'rows in target' 'every row'
for table in customers cards merchants transactions heartbeat; do
    columns=$(source_sql -c "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
        where attrelid = '$table'::regclass and attnum > 0 and not attisdropped")
    copy="copy (select $columns from $table order by id) to stdout"
    counted=$(source_sql -c "select count(*) from $table")
    arrived=$(target_sql -c "select count(*) from $table")
    if cmp -s <(source_sql -c "$copy") <(target_sql -c "$copy"); then
        result=equal
    else
        result=DIFFERENT
        equal=no
        diff <(source_sql -c "$copy") <(target_sql -c "$copy") >"$logs/$table.diff" || true
    fi
    printf '  %-14s %14s %14s   %s\n' "$table" "$(commas "$counted")" "$(commas "$arrived")" "$result"
done

title "Result"
printf '  %-22s %s\n' \
    'full load' "$(commas "$total") rows in $load_seconds s: $(commas "$load_rate") rows/s" \
    'live' "$(commas "$live_changes") changes in $live_seconds s, the last one arrived $drain_seconds s after the end" \
    'lag, commit to commit' "median $lag_median ms, 99 % below $lag_99 ms, most $lag_max ms (all but the kill)" \
    'kill -9' "caught up $recovery_seconds s later" \
    'source and target' "$([ $equal = yes ] && echo equal || echo DIFFERENT)"
if [ $equal = no ]; then
    fail "The first differences are in $logs/*.diff"
fi

if [ "${KEEP:-}" = 1 ]; then
    title "Still running. Try:"
    cat <<TEXT
  psql -h 127.0.0.1 -p $source_port -U postgres shop      # change something here …
  psql -h 127.0.0.1 -p $target_port -U postgres copy      # … and look here
  curl -s http://127.0.0.1:$rest_port/connectors/payments/status
  curl -s http://127.0.0.1:$rest_port/metrics
  curl -s -X PUT http://127.0.0.1:$rest_port/connectors/payments-copy/pause    # the source goes on; resume catches up
  tail -f ${logs#"$root"/}/millrace.log
  make demo-stop                                          # ends all of it
TEXT
else
    printf '\n  make demo KEEP=1 leaves it running, to look around.\n'
fi
