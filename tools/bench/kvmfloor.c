/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvmfloor.c - the least that a virtual machine monitor can do: an empty KVM_RUN loop.
 *
 * Usage: kvmfloor ELF32. Loads the flat guest of exits.c and answers its console; every other exit
 * goes straight back in. What a real monitor takes above this is its own dispatch. One thread.
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RAM = 16 << 20, COM1 = 0x3f8, COM1_LSR = COM1 + 5, LSR_EMPTY = 0x60, MAX_CPUID = 256 };

static uint32_t load(const char *path, uint8_t *ram)
{
    static uint8_t file[1 << 20];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, file, sizeof(file));
    Elf32_Ehdr head;

    if (n < (ssize_t)sizeof(head))
        err(66, "%s", path);
    memcpy(&head, file, sizeof(head));
    for (int i = 0; i < head.e_phnum; i++) {
        Elf32_Phdr p;

        memcpy(&p, file + head.e_phoff + (size_t)i * sizeof(p), sizeof(p));
        if (p.p_type == PT_LOAD && p.p_paddr + p.p_memsz <= RAM)
            memcpy(ram + p.p_paddr, file + p.p_offset, p.p_filesz);
    }
    close(fd);
    return head.e_entry;
}

static void enter_flat(int vcpu, uint32_t entry)
{
    struct kvm_segment code = {
        .limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1};
    struct kvm_segment data = code;
    struct kvm_sregs s;
    struct kvm_regs r = {.rip = entry, .rflags = 2};

    data.selector = 16;
    data.type = 3;
    if (ioctl(vcpu, KVM_GET_SREGS, &s))
        err(69, "KVM_GET_SREGS");
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.cr0 = 1;
    if (ioctl(vcpu, KVM_SET_SREGS, &s) || ioctl(vcpu, KVM_SET_REGS, &r))
        err(69, "KVM_SET_REGS");
}

static void run(int vcpu, struct kvm_run *k)
{
    for (;;) {
        uint8_t *data;

        if (ioctl(vcpu, KVM_RUN, 0))
            err(69, "KVM_RUN");
        if (k->exit_reason == KVM_EXIT_MMIO)
            continue;
        if (k->exit_reason != KVM_EXIT_IO)
            errx(3, "exit %u", k->exit_reason);
        data = (uint8_t *)k + k->io.data_offset;
        if (k->io.port == COM1 && putchar_unlocked(*data) == '\n')
            fflush(stdout);
        else if (k->io.port == COM1_LSR)
            *data = LSR_EMPTY;
    }
}

static void copy_cpuid(int kvm, int vcpu)
{
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entry[MAX_CPUID];
    } c = {.head.nent = MAX_CPUID};

    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &c) || ioctl(vcpu, KVM_SET_CPUID2, &c))
        err(69, "KVM_SET_CPUID2");
}

int main(int argc, char **argv)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    struct kvm_userspace_memory_region region = {.memory_size = RAM};
    struct kvm_run *k;
    uint8_t *ram;
    int vcpu, size;

    if (argc != 2)
        errx(64, "usage: kvmfloor ELF32");
    if (kvm < 0 || vm < 0)
        err(69, "/dev/kvm");
    ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    region.userspace_addr = (uintptr_t)ram;
    if (ioctl(vm, KVM_SET_TSS_ADDR, 0xfeffd000) || ioctl(vm, KVM_CREATE_IRQCHIP, 0) ||
        ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
        err(69, "virtual machine");
    vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    k = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (vcpu < 0 || k == MAP_FAILED)
        err(69, "vCPU");
    copy_cpuid(kvm, vcpu);
    enter_flat(vcpu, load(argv[1], ram));
    run(vcpu, k);
}
