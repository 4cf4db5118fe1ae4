# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# kit.sh - what the scripts of this folder share.
# shellcheck disable=SC2034 # variables are the scripts'
set -eu
served=

# begin HOSPES TOOL... : $hospes, and an empty folder $work as the current one; skips where a tool is
# missing.
begin()
{
    hospes=$1
    shift
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            echo "skip: there is no $tool here"
            exit 77
        }
    done
    work=$(mktemp -d)
    trap at_end EXIT
    cd "$work"
}

at_end()
{
    code=$?
    [ -z "$served" ] || kill "$served" 2>/dev/null || :
    cd /
    rm -rf "$work"
    [ "$code" = 0 ] || [ "$code" = 77 ] || echo "failed with $code"
}
# serve OPTION... : hospes image serve in the background, at $uri
serve()
{
    : >serve.log # the last one's words must not be taken for this one's
    "$hospes" image serve --nbd "unix=$work/socket" "$@" 2>serve.log &
    served=$!
    uri="nbd+unix:///?socket=$work/socket"
    for _ in $(seq 3000); do
        ! grep -q ': serving ' serve.log || return 0 # the socket alone may not listen yet
        kill -0 "$served" 2>/dev/null || break
        sleep 0.02
    done
    cat serve.log
    return 1
}

# Ends it as a user would; its exit code.
unserve()
{
    kill "$served"
    wait "$served"
    served=
}

same()
{
    [ "$1" = "$2" ] || {
        echo "wanted '$2', got '$1' ${3:-}"
        exit 1
    }
}

# fails CODE|any CMD... : ends with that code; what it says is in the file `said`
fails()
{
    wanted=$1
    shift
    "$@" >said 2>&1 && code=0 || code=$?
    [ "$wanted" != any ] || [ "$code" = 0 ] || return 0
    same "$code" "$wanted" "from $*: $(cat said)"
}
