/* SPDX-License-Identifier: Apache-2.0 */
/* test_pack.c - what is packed comes back, at every level, and is small where it can be. */
#include "unit.h"

#include <stdlib.h>

#include "storage/matches.h"
#include "storage/pack.h"

enum { CLUSTER = MATCHES_BLOCK, LARGE = 2 * MiB };

static uint8_t in[LARGE], out[LARGE], back[LARGE];

static const struct tool {
    size_t (*pack)(const uint8_t *in, size_t n, uint8_t *out, size_t room, unsigned level);
    int (*unpack)(const uint8_t *in, size_t n, uint8_t *out, size_t len);
    unsigned levels;
} tools[] = {
    {pack_deflate, unpack_deflate, PACK_DEFLATE_LEVELS},
    {pack_zlib, unpack_zlib, PACK_ZLIB_LEVELS},
    {pack_zstd, unpack_zstd, PACK_ZSTD_LEVELS},
};

/* Words of a few letters: much repeats, little of it for long. */
static void words(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = rand() % 6 ? (uint8_t)("etaoinshr"[rand() % 9]) : ' ';
}

static void noise(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rand();
}

/* Runs, words, noise, and copies of what came before, from near and from far. */
static void mixture(uint8_t *p, size_t n)
{
    for (size_t at = 0, len; at < n; at += len) {
        int kind = rand() % 4;

        len = min_u64((size_t)(rand() % 600) + 1, n - at);
        if (kind == 0)
            memset(p + at, rand(), len);
        else if (kind == 1)
            words(p + at, len);
        else if (kind == 2 || at == 0)
            noise(p + at, len);
        else
            for (size_t i = 0, far = (size_t)rand() % at + 1; i < len; i++)
                p[at + i] = p[at + i - far];
    }
}

/* Buffers of exactly the right size, so that a sanitizer sees a byte too many. */
static size_t there_and_back(const struct tool *t, size_t n, unsigned level)
{
    uint8_t *exact = malloc(n), *packed;
    size_t len;

    assert_non_null(exact);
    memcpy(exact, in, n);
    len = t->pack(exact, n, out, n, level);
    assert_true(len <= n);
    if (len) {
        packed = malloc(len);
        assert_non_null(packed);
        memcpy(packed, out, len);
        assert_int_equal(t->unpack(packed, len, back, n), 0);
        assert_memory_equal(back, in, n);
        assert_int_equal(t->pack(exact, n, packed, len - 1, level), 0);
        free(packed);
    }
    free(exact);
    return len ? len : n;
}

static void every_level_comes_back(void **state)
{
    (void)state;
    srand(1);
    words(in, CLUSTER / 2);
    mixture(in + CLUSTER / 2, CLUSTER / 2);
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        for (unsigned level = 0; level <= tools[i].levels; level++)
            assert_in_range(there_and_back(&tools[i], CLUSTER, level), 1, CLUSTER / 10 * 7);
    }
}

static void every_size_comes_back(void **state)
{
    static const size_t sizes[] = {512, 4096, CLUSTER - 1, CLUSTER, CLUSTER + 1, MiB, LARGE};

    (void)state;
    srand(2);
    mixture(in, LARGE);
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(sizes); k++)
            there_and_back(&tools[i], sizes[k], 0);
        for (size_t n = 1; n < 80; n++)
            there_and_back(&tools[i], n, 0);
    }
}

static void any_content_comes_back(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 300; seed++) {
        srand(seed);
        if (seed % 3)
            mixture(in, CLUSTER);
        else
            words(in, CLUSTER);
        for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
            there_and_back(&tools[i], seed % 5 ? CLUSTER : 4096, 0);
    }
    memset(in, 7, CLUSTER);
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
        assert_in_range(there_and_back(&tools[i], CLUSTER, 0), 1, 300);
}

/* Not the same, but nearly: the tables are smaller. */
static void our_matches_are_nearly_as_good_as_libzstds(void **state)
{
    size_t ours = 0, theirs = 0;

    (void)state;
    for (unsigned seed = 0; seed < 50; seed++) {
        srand(seed);
        words(in, CLUSTER / 2);
        mixture(in + CLUSTER / 2, CLUSTER / 2);
        ours += there_and_back(&tools[2], CLUSTER, 0);
        theirs += there_and_back(&tools[2], CLUSTER, 3);
    }
    assert_in_range(ours, theirs / 2, theirs + theirs / 20);
}

static void matches_repeat_what_was_there(void **state)
{
    static struct matches m;
    static ZSTD_Sequence v[MATCHES_MOST];

    (void)state;
    for (unsigned seed = 0; seed < 300; seed++) {
        size_t n, at = 0, count;

        srand(seed);
        n = seed < 40 ? seed : (size_t)rand() % CLUSTER + 1;
        mixture(in, n);
        count = matches_find(&m, in, n, v);
        assert_in_range(count, 1, MATCHES_MOST);
        for (size_t i = 0; i + 1 < count; i++) {
            at += v[i].litLength;
            assert_true(v[i].matchLength >= 4 && v[i].offset > 0 && v[i].offset <= at);
            assert_true(v[i].matchLength <= n - at);
            for (size_t end = at + v[i].matchLength; at < end; at++)
                assert_int_equal(in[at], in[at - v[i].offset]);
        }
        assert_int_equal(at + v[count - 1].litLength, n);
        assert_int_equal(v[count - 1].matchLength + v[count - 1].offset, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_comes_back),
        cmocka_unit_test(every_size_comes_back),
        cmocka_unit_test(any_content_comes_back),
        cmocka_unit_test(our_matches_are_nearly_as_good_as_libzstds),
        cmocka_unit_test(matches_repeat_what_was_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
