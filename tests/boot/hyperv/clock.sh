# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by or read by the runner
# The monitor stands still for a minute; soon after, the guest's clock is within 100 ms of the host's. The guest says its
# time when it is asked to; of thirty questions the one that was answered soonest counts, half its time either way.
modules='hv_vmbus hv_utils'
timeout=500
args="--persona hyperv --nic none"

# apart NUMBER: how far guest and host are apart at least, in ms; thirty questions from that number on. Fails when one has no
# answer in a minute. Neither side starts a program for a question: that would take longer than what is measured.
apart()
{
    local asked=$1 last=$(($1 + 30)) from to form best=1000000000 off=0
    while [ "$asked" -lt $last ]; do
        asked=$((asked + 1))
        form="question $asked at ([0-9]+)\\.([0-9]{6})\\."
        from=${EPOCHREALTIME/./}
        echo "$asked" >&9
        until [[ $(<"$work/out") =~ $form ]]; do
            [ $((${EPOCHREALTIME/./} - from)) -lt 60000000 ] && kill -0 "$guest_pid" && continue
            tail -n 2 "$work/out" >&2
            return 1
        done
        to=${EPOCHREALTIME/./}
        if [ $((to - from)) -lt $best ]; then
            best=$((to - from))
            off=$((BASH_REMATCH[1] * 1000000 + 10#${BASH_REMATCH[2]} - (from + to) / 2))
        fi
    done
    echo "the guest is $off us ahead, known to $((best / 2)) us" >&2
    off=$((${off#-} - best / 2))
    echo $((off > 0 ? off / 1000 : 0))
}

host()
{
    local before='' after='' code=0
    begin --name hvclock
    wait_said 'guest is ready'
    monitor=$("$hospes" info --json hvclock | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
    sleep 5
    if before=$(apart 0); then
        kill -STOP "$monitor"
        sleep 60
        kill -CONT "$monitor"
        # The host tells the guest its time every 30 s.
        sleep 35
        after=$(apart 100) || :
    fi
    echo end >&9
    ended || code=$?
    if [ $code != 0 ] || [ -z "$after" ]; then
        echo "verdict: failure exit code $code, or a question without an answer"
    elif [ "$before" -gt 100 ]; then
        echo "verdict: failure the clocks were $before ms apart before"
    elif [ "$after" -gt 100 ]; then
        echo "verdict: failure the clocks are $after ms apart"
    else
        echo "verdict: success"
    fi
}

guest()
{
    echo "guest is ready"
    while read -r line && [ "$line" != end ]; do
        echo "question $line at $EPOCHREALTIME."
    done
    success
}
