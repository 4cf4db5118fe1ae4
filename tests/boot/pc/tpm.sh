# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A TPM 2.0: Linux finds it by ACPI, reads its registers, gets random numbers; what the first machine measures is gone in
# the second one, and what it defines in its memory is there. With UEFI, firmware has measured the start.
variants='persona=kvm persona=hyperv firmware=uefi'
kernel=6.1
timeout=400

host()
{
    local n code=0
    cd "$work" || exit
    export TMPDIR=$work
    command -v swtpm >/dev/null || {
        echo "verdict: skip swtpm is not installed"
        return 0
    }
    for n in 1 2; do
        # shellcheck disable=SC2086 # two words
        "$hospes" run --host kvm --persona "${persona:-kvm}" ${firmware:+--firmware "$firmware"} --nic none \
            --tpm "2.0,state=$work/state" --kernel "$kernel_image" --initrd "$initrd" \
            --append "console=ttyS0 panic=-1 life=$n firmware=${firmware:-no}" --log "$work/log" </dev/null |
            tee "console$n.txt" || code=$?
        [ $code = 0 ] || return $code
    done
    cat log
    [ -s state/tpm2-00.permall ] || echo "verdict: failure it left no state"
    ! grep -q 'swtpm' log || echo "verdict: failure swtpm was in trouble"
}

# ask HEX: the answer in hexadecimal, from its return code on.
ask()
{
    local bytes
    bytes=$(echo "$1" | sed 's/ //g; s/../\\x&/g')
    exec 3<>/dev/tpm0
    # shellcheck disable=SC2059 # the format is the command
    printf "$bytes" >&3
    dd bs=4096 count=1 <&3 2>/dev/null | od -An -v -tx1 | tr -d ' \n' | cut -c 13-
    exec 3>&-
}

guest()
{
    local life firmware zero=0000000000000000000000000000000000000000000000000000000000000000 pcr=/sys/class/tpm/tpm0/pcr-sha256
    life=$(sed 's/.*life=\([0-9]\).*/\1/' /proc/cmdline)
    firmware=$(sed 's/.*firmware=\([a-z]*\).*/\1/' /proc/cmdline)
    dmesg | grep -iE 'tpm'
    [ -c /dev/tpm0 ] || failure "there is no /dev/tpm0"
    want "the version" "$(cat /sys/class/tpm/tpm0/tpm_version_major)" 2
    # TPM2_GetRandom, 16 bytes, twice.
    a=$(ask '8001 0000000c 0000017b 0010') b=$(ask '8001 0000000c 0000017b 0010')
    echo "random $a $b"
    want "the answer's head" "$(echo "$a" | cut -c 1-12)" 000000000010
    [ "$a" != "$b" ] || failure "the random numbers are the same"
    want "PCR 16" "$(cat $pcr/16)" $zero
    # TPM2_PCR_Extend of PCR 16, SHA-256 of all ones.
    want "extending" "$(ask "8002 00000041 00000182 00000010 00000009 40000009 0000 00 0000 00000001 000b $(echo $zero | tr 0 f)" | cut -c 1-8)" 00000000
    [ "$(cat $pcr/16)" != $zero ] || failure "PCR 16 was not extended"
    if [ "$firmware" = uefi ]; then
        [ "$(cat $pcr/0)" != $zero ] || failure "firmware measured nothing"
    fi
    # TPM2_NV_DefineSpace of index 0x01800001, 8 bytes; it is there already in the second life.
    got=$(ask '8002 0000002d 0000012a 40000001 00000009 40000009 0000 00 0000 0000 000e 01800001 000b 00040004 0000 0008' | cut -c 1-8)
    if [ "$life" = 1 ]; then
        want "defining memory" "$got" 00000000
    else
        want "defining memory again" "$got" 0000014c
    fi
    success
}
