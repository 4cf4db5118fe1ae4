/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions that want to do harm: refused in a sentence, in under a second and 64 MiB. */
#include "fixture.h"

#include <sys/resource.h>
#include <time.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void refused(const char *name)
{
    double from = now();
    struct rusage use;

    assert_int_not_equal(take(name), 0);
    assert_int_equal(e.exit, EX_BAD_INPUT);
    assert_true(strlen(e.msg) > 10);
    assert_true(now() - from < 1.0);
    getrusage(RUSAGE_SELF, &use);
#if !SANITIZED
    assert_true(use.ru_maxrss < 64 << 10);
#endif
}

static void refused_text(const char *name, const char *text)
{
    put_text(name, text);
    refused(name);
}

/* n times the text in the file. */
static void repeat(const char *name, const char *before, const char *text, size_t n,
                   const char *after)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    fputs(before, f);
    for (size_t i = 0; i < n; i++)
        fputs(text, f);
    fputs(after, f);
    fclose(f);
}

static void entities_are_refused(void **state)
{
    static const char bomb[] =
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a 'aaaaaaaaaaaaaaaa'>"
        "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>"
        "<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'><!ENTITY f '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'>"
        "]><Envelope>&f;&f;&f;&f;</Envelope>";
    char utf16[2 * sizeof(bomb) + 2];

    (void)state;
    refused_text("bomb.ovf", bomb);
    refused_text("file.xml", "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
                             "<domain type='kvm'><name>&x;</name></domain>");
    refused_text("net.vbox", "<!DOCTYPE d SYSTEM 'http://127.0.0.1:1/x'><VirtualBox/>");
    utf16[0] = (char)0xff;
    utf16[1] = (char)0xfe;
    for (size_t i = 0; i < sizeof(bomb) - 1; i++) {
        utf16[2 + 2 * i] = bomb[i];
        utf16[3 + 2 * i] = 0;
    }
    put_bytes("wide.ovf", utf16, 2 * sizeof(bomb));
    refused("wide.ovf");
    /* In UTF-7 the search for a document type would find nothing. */
    refused_text("seven.ovf", "<?xml version='1.0' encoding='UTF-7'?><Envelope/>");
}

static void nesting_has_an_end(void **state)
{
    (void)state;
    repeat("deep.ovf", "<Envelope>", "<a>", 100000, "");
    refused("deep.ovf");
    repeat("wide.xml", "<domain type='kvm'>", "<a/>", 200000, "</domain>");
    refused("wide.xml");
    wish.format = "xl";
    repeat("deep.cfg", "disk = ", "[", 100000, "\n");
    refused("deep.cfg");
}

static void sizes_have_an_end(void **state)
{
    (void)state;
    refused_text("a.vmx", "config.version = \"8\"\nmemsize = \"99999999999999999999\"\n");
    refused_text("b.vmx", "config.version = \"8\"\nnumvcpus = \"4294967297\"\n");
    refused_text("c.xml", "<domain type='kvm'><memory unit='TiB'>9999999999</memory></domain>");
    refused_text("d.ovf", "<Envelope xmlns:r='r'><VirtualSystem><VirtualHardwareSection><Item>"
                          "<ResourceType>4</ResourceType><AllocationUnits>byte * 2^99"
                          "</AllocationUnits><VirtualQuantity>1</VirtualQuantity></Item>"
                          "</VirtualHardwareSection></VirtualSystem></Envelope>");
    repeat("e.vmx", "config.version = \"8\"\n", "annotation = \"xxxxxxxxxxxxxxxxxxxxxxxx\"\n",
           100000, "");
    refused("e.vmx");
    repeat("f.vmx", "config.version = \"8\"\n", "a.b = \"\"\n", 90000, "");
    refused("f.vmx");
}

static void names_and_links_do_not_lead_out(void **state)
{
    char link[300];

    (void)state;
    assert_int_equal(take_text("a.ovf",
                               "<Envelope><References><File href='../../etc/shadow' id='f'/>"
                               "</References><VirtualSystem><VirtualHardwareSection><Item>"
                               "<ResourceType>17</ResourceType><HostResource>/file/f"
                               "</HostResource></Item></VirtualHardwareSection>"
                               "</VirtualSystem></Envelope>"),
                     0);
    assert_true(ends(plan.disk[0].path, "/shadow"));
    assert_null(strstr(plan.disk[0].path, ".."));
    assert_int_equal(fate("@href"), IMPORT_CHANGED);
    snprintf(link, sizeof(link), "%s/l.img", dir);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    refused_text("l.xml", "<domain type='kvm'><devices><disk type='file'><source file='l.img'/>"
                          "<target dev='vda' bus='virtio'/></disk></devices></domain>");
    wish.trust = true;
    assert_int_equal(take("l.xml"), 0);
    wish.trust = false;
    snprintf(link, sizeof(link), "%s/sub", dir);
    assert_int_equal(symlink("/etc", link), 0);
    refused_text("s.vmx", "config.version = \"8\"\nide0:0.present = \"TRUE\"\n"
                          "ide0:0.fileName = \"sub/passwd\"\n");
}

/* Of two files of one name it must be the one that was meant. */
static void names_that_come_back_are_no_way_out(void **state)
{
    char path[300], text[900];

    (void)state;
    snprintf(path, sizeof(path), "%s/a", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/b", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    put_text("x.img", "");
    put_text("b/x.img", "");
    snprintf(text, sizeof(text),
             "<domain type='kvm'><devices><disk type='file'><source file='a/../b/x.img'/>"
             "<target dev='vda' bus='virtio'/></disk><disk type='file'>"
             "<source file='%s//a/../b/x.img'/><target dev='vdb' bus='virtio'/></disk>"
             "<disk type='file'><source file='%s/a/../../x.img'/>"
             "<target dev='vdc' bus='virtio'/></disk></devices></domain>",
             dir, dir);
    assert_int_equal(take_text("a.xml", text), 0);
    assert_true(ends(plan.disk[0].path, "/a/../b/x.img"));
    assert_true(ends(plan.disk[1].path, "/a/../b/x.img"));
    snprintf(path, sizeof(path), "%s/x.img", dir);
    assert_string_equal(plan.disk[2].path, path);
    refused_text("f.xml", "<domain type='kvm'><devices><disk type='file'><source file='a/..'/>"
                          "<target dev='vda' bus='virtio'/></disk></devices></domain>");
}

static void chains_have_an_end(void **state)
{
#define SNAPSHOT(parent) "# Disk DescriptorFile\nparentFileNameHint=\"" parent "\"\n"
    static const char vmx[] = "config.version = \"8\"\nide0:0.present = \"TRUE\"\n"
                              "ide0:0.fileName = \"a.vmdk\"\n";

    (void)state;
    put_text("a.vmdk", SNAPSHOT("b.vmdk"));
    put_text("b.vmdk", SNAPSHOT("a.vmdk"));
    refused_text("m.vmx", vmx);
    assert_non_null(strstr(e.msg, "comes back to"));
    put_text("b.vmdk", SNAPSHOT("c.vmdk"));
    refused("m.vmx");
    assert_non_null(strstr(e.msg, "is not there"));
    put_text("c.vmdk", "# Disk DescriptorFile\n");
    put_text("m.vmsd", ".encoding = \"UTF-8\"\nsnapshot0.displayName = \"before\"\n");
    assert_int_equal(take("m.vmx"), 0);
    assert_int_equal(fate("vmsd: snapshot0.displayName"), IMPORT_DROPPED);
    assert_int_equal(fate("ide0:0.fileName (parent)"), IMPORT_KEPT);
}

static void texts_become_utf8(void **state)
{
    char *json;
    struct plan again;

    (void)state;
    assert_int_equal(
        take_text("a.vmx", "config.version = \"8\"\nannotation = \"caf\xe9 \xc3\xa9 \xff\"\n"), 0);
    assert_string_equal(plan.notes, "caf\xc3\xa9 \xc3\xa9 \xc3\xbf");
    assert_int_equal(plan_to_json(&plan, &json, &e), 0);
    assert_int_equal(plan_from_json(&again, json, &e), 0);
    plan_free(&again);
    free(json);
}

static void binary_descriptions_may_be_damaged(void **state)
{
    uint8_t b[20000] = {0x14, 0x20, 0x28, 0x01};

    (void)state;
    put_bytes("a.vmcx", b, 100);
    refused("a.vmcx");
    memcpy(b + 4096, b, 4);
    put_bytes("a.vmcx", b, sizeof(b));
    refused("a.vmcx");
    wish.unchecked = true; /* what lies behind the checksums */
    b[11] = 4;
    b[8192] = 1;
    b[8194] = 0x11;
    b[8195] = 1;
    b[8196] = 255; /* entries; the first is a table of objects: this one */
    b[8200] = 1;
    b[8206] = 0x20;
    put_bytes("a.vmcx", b, sizeof(b));
    refused("a.vmcx");
}

/* A header of ustar for one.ovf of that size, in octal. */
static void tar_head(char h[512], const char *size)
{
    unsigned sum = 0;

    memset(h, 0, 512);
    memcpy(h, "one.ovf", 7);
    memcpy(h + 100, "0000644", 7);
    memcpy(h + 124, size, 11);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
}

static void archives_may_be_cut_off(void **state)
{
    char b[1536];

    (void)state;
    memset(b, ' ', sizeof(b));
    tar_head(b, "00000001000");
    put_bytes("cut.ova", b, 700);
    refused("cut.ova");
    assert_non_null(strstr(e.msg, "cut off"));
    put_bytes("head.ova", b, 300);
    refused("head.ova");
    tar_head(b, "77777777777"); /* 8 GiB, which are not there */
    put_bytes("long.ova", b, sizeof(b));
    refused("long.ova");
    assert_non_null(strstr(e.msg, "cut off"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(entities_are_refused),
        T(nesting_has_an_end),
        T(sizes_have_an_end),
        T(names_and_links_do_not_lead_out),
        T(names_that_come_back_are_no_way_out),
        T(chains_have_an_end),
        T(binary_descriptions_may_be_damaged),
        T(texts_become_utf8),
        T(archives_may_be_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
