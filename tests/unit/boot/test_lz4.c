/* SPDX-License-Identifier: Apache-2.0 */
/* LZ4 blocks made at random with what they mean, and the same ones broken. */
#include <errno.h>
#include <stdlib.h>

#include "board/boot/boot_priv.h"
#include "unit.h"

enum { PLAIN_MAX = 300 << 10, PACKED_MAX = PLAIN_MAX * 2 };

struct block {
    uint8_t *plain, *packed;
    size_t plain_n, packed_n;
    uint64_t seed;
};

static uint32_t draw(struct block *b, uint32_t below)
{
    b->seed = b->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(b->seed >> 33) % below;
}

static void put(struct block *b, uint8_t v)
{
    b->packed[b->packed_n++] = v;
}

static void put_rest(struct block *b, size_t n)
{
    for (; n >= 255; n -= 255)
        put(b, 255);
    put(b, (uint8_t)n);
}

/* Mostly short, sometimes around each border, seldom long. */
static size_t draw_length(struct block *b)
{
    static const size_t border[] = {13, 14, 15, 16, 17, 90, 91, 92, 93, 268, 269, 270, 271, 1000};

    if (draw(b, 4))
        return draw(b, 12);
    return draw(b, 40) ? border[draw(b, ARRAY_SIZE(border))] : draw(b, 20000);
}

/* One sequence; the last has no match. */
static void put_sequence(struct block *b, bool last)
{
    size_t literals = draw_length(b), match = draw_length(b), back;
    uint8_t *token = b->packed + b->packed_n;

    if (b->plain_n == 0 && literals == 0)
        literals = 1;
    put(b, (uint8_t)(min_u64(literals, 15) << 4 | (last ? 0 : min_u64(match, 15))));
    if (literals >= 15)
        put_rest(b, literals - 15);
    for (size_t i = 0; i < literals; i++) {
        put(b, (uint8_t)draw(b, 256));
        b->plain[b->plain_n++] = b->packed[b->packed_n - 1];
    }
    if (last)
        return;
    back = 1 + draw(b, (uint32_t)min_u64(b->plain_n, draw(b, 3) ? 65535 : 20));
    put(b, (uint8_t)back);
    put(b, (uint8_t)(back >> 8));
    if ((*token & 15) == 15)
        put_rest(b, match - 15);
    for (size_t i = 0; i < match + 4; i++, b->plain_n++)
        b->plain[b->plain_n] = b->plain[b->plain_n - back];
}

static void make(struct block *b, uint64_t seed)
{
    b->seed = seed;
    b->plain_n = b->packed_n = 0;
    for (size_t limit = seed % 3 ? PLAIN_MAX - 50000 : 500; b->plain_n < limit;)
        put_sequence(b, false);
    put_sequence(b, true);
}

/* Buffers of just the right size, so that sanitizers see one byte too far. */
static int unpack(const struct block *b, size_t n, size_t room, uint8_t **out, size_t *done)
{
    uint8_t *in = malloc(n ? n : 1);
    int rc;

    assert_non_null(in);
    memcpy(in, b->packed, n);
    *out = malloc(room ? room : 1);
    assert_non_null(*out);
    rc = boot_lz4_block(in, n, *out, room, done);
    free(in);
    return rc;
}

static int set_up(void **state)
{
    struct block *b = calloc(1, sizeof(*b));

    b->plain = malloc(PLAIN_MAX);
    b->packed = malloc(PACKED_MAX);
    *state = b;
    return !b->plain || !b->packed;
}

static int tear_down(void **state)
{
    struct block *b = *state;

    free(b->plain);
    free(b->packed);
    free(b);
    return 0;
}

static void blocks_mean_what_they_were_made_from(void **state)
{
    struct block *b = *state;
    size_t done;
    uint8_t *out;

    for (uint64_t seed = 0; seed < 60; seed++) {
        make(b, seed);
        assert_int_equal(unpack(b, b->packed_n, b->plain_n, &out, &done), 0);
        assert_int_equal(done, b->plain_n);
        assert_memory_equal(out, b->plain, b->plain_n);
        free(out);
    }
}

static void a_block_that_is_cut_or_does_not_fit_is_refused(void **state)
{
    struct block *b = *state;
    size_t done;
    uint8_t *out;

    make(b, 3);
    for (size_t n = 0; n < b->packed_n; n++) {
        /* A cut behind literals looks like an end; what came out is then a beginning. */
        if (unpack(b, n, b->plain_n, &out, &done) == 0)
            assert_memory_equal(out, b->plain, done);
        free(out);
    }
    assert_int_equal(unpack(b, 0, 16, &out, &done), -EINVAL);
    free(out);
    for (size_t room = 0; room < b->plain_n; room += 1 + room / 40) {
        assert_int_equal(unpack(b, b->packed_n, room, &out, &done), -EINVAL);
        assert_true(done <= room);
        free(out);
    }
}

static void broken_blocks_stay_in_their_room(void **state)
{
    struct block *b = *state;
    size_t done;
    uint8_t *out;

    for (unsigned round = 0; round < 400; round++) {
        make(b, 1 + round % 2 * 2);
        for (unsigned k = 0; k < 20; k++)
            b->packed[draw(b, (uint32_t)b->packed_n)] = (uint8_t)(draw(b, 2) ? 0xff : draw(b, 256));
        (void)!unpack(b, b->packed_n, b->plain_n, &out, &done);
        assert_true(done <= b->plain_n);
        free(out);
    }
}

static void a_match_before_the_beginning_is_refused(void **state)
{
    static const uint8_t none[] = {0x10, 'a', 0, 0, 0x10, 'b'};
    static const uint8_t far[] = {0x10, 'a', 2, 0, 0x10, 'b'};
    struct block *b = *state;
    size_t done;
    uint8_t *out;

    memcpy(b->packed, none, sizeof(none));
    assert_int_equal(unpack(b, sizeof(none), 64, &out, &done), -EINVAL);
    free(out);
    memcpy(b->packed, far, sizeof(far));
    assert_int_equal(unpack(b, sizeof(far), 64, &out, &done), -EINVAL);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_mean_what_they_were_made_from, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_block_that_is_cut_or_does_not_fit_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(broken_blocks_stay_in_their_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_match_before_the_beginning_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
