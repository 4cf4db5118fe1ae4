/* SPDX-License-Identifier: Apache-2.0 */
/* vCPUs that KVM waits for are sent out, and do not come back before it is done. */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "host/kvm.h"

static struct kvm_gate gate;
static struct kvm_run run[2];
static struct kvm_vcpu cpu[2];
static unsigned signals, passed;

static void on_signal(int sig)
{
    (void)sig;
    __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
}

/* As a vCPU that runs: it comes to the gate whenever it is sent out. */
static void *runner(void *arg)
{
    struct kvm_vcpu *v = arg;

    v->thread = pthread_self();
    kvm_gate_join(&gate, v);
    __atomic_store_n(&passed, 1, __ATOMIC_SEQ_CST);
    while (!READ_ONCE(v->run->immediate_exit))
        usleep(1000);
    if (READ_ONCE(gate.closed))
        kvm_gate_wait(&gate);
    __atomic_store_n(&passed, 2, __ATOMIC_SEQ_CST);
    kvm_gate_leave(&gate, v);
    return NULL;
}

static void until_passed(unsigned n)
{
    while (__atomic_load_n(&passed, __ATOMIC_SEQ_CST) != n)
        usleep(1000);
}

static int setup(void **state)
{
    struct sigaction sa = {.sa_handler = on_signal};

    (void)state;
    memset(run, 0, sizeof(run));
    signals = passed = 0;
    gate = (struct kvm_gate){.used = true};
    kvm_gate_init(&gate);
    for (unsigned i = 0; i < 2; i++)
        cpu[i] = (struct kvm_vcpu){.run = &run[i], .thread = pthread_self()};
    return sigaction(SIGUSR1, &sa, NULL);
}

static int teardown(void **state)
{
    (void)state;
    kvm_gate_fini(&gate);
    return 0;
}

static void a_vcpu_waits_outside_until_all_have_opened(void **state)
{
    pthread_t t;

    (void)state;
    kvm_gate_join(&gate, &cpu[0]); /* the caller's own */
    assert_int_equal(pthread_create(&t, NULL, runner, &cpu[1]), 0);
    until_passed(1);
    kvm_gate_close(&gate);
    kvm_gate_close(&gate);
    assert_false(run[0].immediate_exit);
    assert_true(READ_ONCE(run[1].immediate_exit));
    usleep(20000);
    kvm_gate_open(&gate);
    usleep(20000);
    assert_int_equal(__atomic_load_n(&passed, __ATOMIC_SEQ_CST), 1);
    kvm_gate_open(&gate);
    until_passed(2);
    pthread_join(t, NULL);
    assert_true(signals >= 1);
    assert_ptr_equal(gate.first, &cpu[0]);
    kvm_gate_leave(&gate, &cpu[0]);
    assert_null(gate.first);
}

static void without_polls_in_the_kernel_nobody_is_disturbed(void **state)
{
    (void)state;
    gate.used = false;
    kvm_gate_join(&gate, &cpu[0]);
    cpu[0].thread = 0;
    kvm_gate_close(&gate);
    assert_false(run[0].immediate_exit);
    assert_int_equal(gate.closed, 0);
    kvm_gate_open(&gate);
    kvm_gate_leave(&gate, &cpu[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_vcpu_waits_outside_until_all_have_opened, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_polls_in_the_kernel_nobody_is_disturbed, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
