/* SPDX-License-Identifier: Apache-2.0 */
/* loader.S - a boot sector that says that firmware has come to it, and nothing else. */
        .code16
        .globl _start
_start:
        ljmp    $0, $1f
1:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    $text, %si
        cld
next:   lodsb
        testb   %al, %al
        jz      stop
        movb    %al, %bl
        movw    $0x3fd, %dx
ready:  inb     %dx, %al
        testb   $0x20, %al
        jz      ready
        movb    %bl, %al
        movw    $0x3f8, %dx
        outb    %al, %dx
        jmp     next
stop:   hlt
        jmp     stop
text:   .asciz  "\n@@ loader\n@@ done\n"
        .org    510
        .word   0xaa55
