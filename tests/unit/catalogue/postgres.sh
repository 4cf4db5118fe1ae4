#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# postgres.sh HOSPES FILL CATALOGUE - the index in PostgreSQL says what the one in SQLite says. A server of our own on
# the loopback, with files of its own; skipped where Debian's postgresql is not installed.
set -euo pipefail
hospes=$1 fill=$2 published=$3
bin=$(find /usr/lib/postgresql/*/bin -maxdepth 1 -name initdb 2>/dev/null | sort -V | tail -n 1) || true # no such folder
[ -n "$bin" ] || {
    echo "no PostgreSQL server: install postgresql"
    exit 77
}
bin=${bin%/initdb}
work=$(mktemp -d)
# The server refuses to be root.
as=()
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    chown nobody: "$work"
fi
server=
# shellcheck disable=SC2317 # by trap
stop()
{
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$work"
}
trap stop EXIT
fail()
{
    echo "postgres: $*"
    tail -n 20 "$work/server.log" || true
    exit 1
}

"${as[@]}" "$bin/initdb" -D "$work/db" -U hospes -A trust -N --locale-provider=icu --icu-locale=en-US >"$work/initdb.log" 2>&1 || fail "$(tail -n 3 "$work/initdb.log")"
port=$((20000 + $$ % 20000))
"${as[@]}" "$bin/postgres" -D "$work/db" -c listen_addresses=127.0.0.1 -c "port=$port" -c unix_socket_directories= \
    -c fsync=off >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" && break
    kill -0 "$server" 2>/dev/null || fail "the server does not start"
    sleep 0.1
done
db="postgresql://hospes@127.0.0.1:$port/postgres"

# same FOLDER LABEL GUEST: both indexes answer alike.
same()
{
    local question
    "$hospes" catalogue why --db "$db" "$1" "$3" >/dev/null || fail "$2: nothing is known of $3"
    for question in "why $1 debian" "why $1 system" "stale $1" "errata $1"; do
        # shellcheck disable=SC2086 # words
        "$hospes" catalogue ${question%% *} --db "$work/index" ${question#* } >"$work/sqlite.out" 2>&1 || true
        # shellcheck disable=SC2086 # words
        "$hospes" catalogue ${question%% *} --db "$db" ${question#* } >"$work/postgres.out" 2>&1 || true
        cmp -s "$work/sqlite.out" "$work/postgres.out" ||
            fail "$2: $question: $(diff "$work/sqlite.out" "$work/postgres.out" | head -n 5)"
    done
}
sql() { "$bin/psql" -qAtX "$db" -c "$1"; }

same "$published" "the published catalogue" debian
"$hospes" catalogue build --db "$work/index" "$published" "$work/site1" >/dev/null
"$hospes" catalogue build --db "$db" "$published" "$work/site2" >/dev/null
diff -r "$work/site1" "$work/site2" || fail "the sites differ"

# Another catalogue in the same place, and one that grows: the index follows.
"$fill" "$work/many" 300 >/dev/null
rm "$work/index"
same "$work/many" "another catalogue" system
[ "$(sql 'SELECT count(*) FROM claims')" = 300 ] || fail "the claims are $(sql 'SELECT count(*) FROM claims')"
"$hospes" catalogue errata --add slow --text "It is slow." --key "$work/many.key" "$work/many" >/dev/null
same "$work/many" "one entry more" system

# An index that was tampered with, or half lost, is made again.
sql "UPDATE state SET link = 'x'; DELETE FROM claims WHERE n > 100"
same "$work/many" "a broken chain" system
sql 'DROP TABLE claims'
same "$work/many" "a lost table" system

# Several at once, on an empty index.
sql 'DROP TABLE claims, notes, guests, hosts, state'
pids=()
for i in 1 2 3 4; do
    "$hospes" catalogue stale --db "$db" "$work/many" >"$work/at-once.$i" 2>&1 &
    pids+=($!)
done
for i in "${pids[@]}"; do
    wait "$i" || fail "one of four readers fails: $(cat "$work"/at-once.*)"
done
same "$work/many" "four at once" system

# Nobody there: one sentence.
kill -INT "$server"
wait "$server" || true
server=
code=0
"$hospes" catalogue stale --db "$db" "$work/many" >"$work/gone" 2>&1 || code=$?
[ $code = 74 ] || [ $code = 69 ] || fail "without a server the exit code is $code"
[ "$(wc -l <"$work/gone")" = 1 ] || fail "without a server it says: $(cat "$work/gone")"
