/* SPDX-License-Identifier: Apache-2.0 */
/* A planted corpus of secrets: none may come through, and false names agree. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "support/redact.h"
#include "unit.h"

static struct redactor *r;
static struct vbuf out;

static int set_up(void **state)
{
    static const uint8_t key[REDACT_KEY] = {1, 2, 3};
    struct err e = {0};

    out = (struct vbuf){0};
    assert_int_equal(redactor_create(key, &r, &e), 0);
    assert_int_equal(redactor_name(r, "host", "build-7.corp.example", &e), 0);
    assert_int_equal(redactor_name(r, "user", "mallory", &e), 0);
    return 0;
}

static int tear_down(void **state)
{
    redactor_free(r);
    vbuf_free(&out);
    return 0;
}

static const char *clean(const char *text)
{
    vbuf_free(&out);
    out = (struct vbuf){0};
    redact(r, text, strlen(text), &out);
    vbuf_add(&out, "", 1);
    assert_false(out.failed);
    return out.data;
}

static const char open_ssh[] = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2Secret\n"
                               "more hunter2Secret\n-----END OPENSSH PRIVATE KEY-----\nafter";

/* Files that were joined, the first without an end of line. */
static const char two_blocks[] = "-----BEGIN CERTIFICATE-----\nx\n"
                                 "-----END CERTIFICATE----------BEGIN PRIVATE KEY-----\n"
                                 "hunter2Secret\n-----END PRIVATE KEY-----";

/* One secret each; 23 is the block that ends before its last line. */
static const char *const corpus[] = {
    "root=/dev/sda1 luks.password=hunter2Secret rw",
    "console=ttyS0 rd.neednet=1 ip=dhcp token=hunter2Secret",
    "{\"user\":\"x\",\"password\":\"hunter2Secret\"}",
    "{\"adminPassword\": \"with spaces hunter2Secret\"}",
    "password: 'hunter2Secret'",
    "DB_PASSWORD=hunter2Secret",
    "export AWS_SECRET_ACCESS_KEY=hunter2Secret",
    "mysql -u root --password hunter2Secret db",
    "curl -H 'Authorization: Bearer hunter2Secret.x' https://api.example",
    "Authorization: Basic aHVudGVyMlNlY3JldA==hunter2Secret",
    "Cookie: session=hunter2Secret; other=1",
    "https://admin:hunter2Secret@git.example/repo.git",
    "postgresql://u:hunter2Secret@db.example/x",
    "chpasswd: root:hunter2Secret",
    "  - api_key: hunter2Secret",
    "passphrase = hunter2Secret",
    "https://x.example/f?a=1&sig=hunter2Secret&b=2",
    "user-data: hashed_passwd: $6$rounds=5000$salt$hunter2Secrethunter2Secret",
    "export GH=ghp_hunter2Secret0123456789",
    "AKIAhunter2Secret0123",
    "jwt eyJhbGciOi.hunter2Secret.c2ln",
    "vnc password=\"hunter2Secret\"",
    "key QWxhZGRpbjpvcGVuhunter2SecretIHNlc2FtZQ0K9xyz",
    open_ssh,
    "x -----BEGIN RSA PRIVATE KEY-----hunter2Secret-----END RSA PRIVATE KEY-----",
    "wifi psk=hunter2Secret",
    "token: \"hunter2Secret",
    /* As they lie about in the field. */
    "netroot=iscsi:jane:hunter2Secret@10.1.2.3::3260:0:iqn.2026-01.com.example:d",
    "rd.iscsi.password=hunter2Secret ks.sendpw=hunter2Secret inst.vncpassword=hunter2Secret",
    "curl -u admin:hunter2Secret https://api.example/x",
    "mysql -uroot -phunter2Secret db",
    "sshpass -p hunter2Secret ssh root@10.0.0.1",
    "machine api.example login joe password hunter2Secret",
    "{\"auths\":{\"https://index.example/v1/\":{\"auth\":\"hunter2Secret=\"}}}",
    "  root:hunter2Secret",
    "  - joe:hunter2Secret",
    "mount -t cifs //srv/share /mnt -o username=joe,password=hunter2Secret,uid=0",
    "  plain_text_passwd: 'hunter2Secret with blanks'",
    "  - {name: joe, password: hunter2Secret, type: text}",
    "<AdministratorPassword><Value>hunter2Secret</Value><PlainText>true</PlainText>",
    "      <Value>hunter2Secret</Value>",
    "<Property oe:key=\"admin-password\" oe:value=\"hunter2Secret\"/>",
    "{\"name\":\"DB_PASSWORD\",\"value\":\"hunter2Secret\"}",
    "ipmitool -H 10.0.0.9 -U admin -P hunter2Secret power status",
    "snmp community hunter2Secret",
    "rocommunity hunter2Secret",
    "requirepass hunter2Secret",
    "-object secret,id=sec0,data=hunter2Secret,format=raw",
    "<graphics type='vnc' passwd='hunter2Secret'/>",
    "Server=db;User Id=sa;Pwd=hunter2Secret;",
    "X-Api-Key: hunter2Secret",
    "LoadCredential=db:hunter2Secret",
    "10.1.2.3:hunter2Secret",
    "Password: hunter2Secret",
    /* Parted by a terminal's colours, by UTF-16, in quotes within quotes. */
    "password=\033[1mhunter2Secret\033[0m",
    "\033[31mpass\033[0mword:\033[32m hunter2Secret",
    "{\"password\":\"a\\\"hunter2Secret\"}",
    "{\"x\":\"{\\\"password\\\":\\\"hunter2Secret\\\"}\"}",
    "password=[hunter2Secret",
    "password=a,hunter2Secret",
    "password=(a)hunter2Secret&b",
    "https://admin:hunter/hunter2Secret@git.example/repo.git",
    "https://admin:hunter@hunter2Secret@git.example/repo.git",
    "wget --http-password hunter2Secret http://x.example/",
    "tool --password 'two hunter2Secret words'",
    "<vncpasswd>hunter2Secret</vncpasswd>",
    "RemoteDisplay.vnc.key = \"hunter2Secret\"",
    "rootpw --plaintext hunter2Secret",
    "rootpw hunter2Secret",
    "d-i passwd/root-password password hunter2Secret and hunter2Secret",
    "the password is hunter2Secret",
    "ldap bindpw hunter2Secret",
    "echo 'root:hunter2Secret' | chpasswd",
    "  - echo hunter2Secret | sudo passwd --stdin root",
    "cryptsetup open /dev/sda1 x <<< hunter2Secret",
    "AccountKey=hunter2Secret==;EndpointSuffix=core",
    "DefaultPassword    REG_SZ    hunter2Secret",
    "https://hooks.slack.com/services/T0/B0/hunter2Secret",
    "SG.hunter2Secret01.hunter2Secret01",
    "whsec_hunter2Secret01",
    "password: |\n  hunter2Secret\n\n    hunter2Secret\nnext: 1",
    "  passwd:\n    hunter2Secret\nnext: 1",
    "QWxh/ZGRpbjpvcGVuhunter2SecretIHNlc2FtZQ0K9xyz/abc=",
    two_blocks,
};

static void no_secret_comes_through(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(corpus); i++) {
        const char *got = clean(corpus[i]);

        if (strcasestr(got, "hunter2"))
            fail_msg("%s became %s", corpus[i], got);
        assert_true(redactor_removed(r) > i);
    }
    assert_non_null(strstr(clean(corpus[23]), "after"));
}

/* What Windows writes has a zero behind each letter. */
static void utf_16_is_read(void **state)
{
    static const char text[] = "password=hunter2Secret\n10.1.2.3\n";
    char wide[2 * sizeof(text)] = {0};

    for (size_t i = 0; i < sizeof(text); i++)
        wide[2 * i] = text[i];
    redact(r, wide, sizeof(wide), &out);
    vbuf_add(&out, "", 1);
    assert_null(strstr(out.data, "hunter2"));
    assert_null(strstr(out.data, "10.1.2.3"));
    assert_int_equal(redactor_removed(r), 1);
}

/* The bundle is looked at a second time before it is written. */
static void nothing_is_found_in_what_was_cleaned(void **state)
{
    char line[4096];

    for (size_t i = 0; i < ARRAY_SIZE(corpus); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(corpus); k++) {
            char *once;
            size_t was;

            snprintf(line, sizeof(line), "%s %s", corpus[i], corpus[k]);
            once = strdup(clean(line));
            assert_non_null(once);
            was = redactor_removed(r);
            clean(once);
            if (redactor_removed(r) != was)
                fail_msg("%s became %s, then %s", line, once, out.data);
            free(once);
        }
    }
}

/* A rule may take the square of a line's length. */
static void a_long_line_does_not_hold_it_up(void **state)
{
    enum { LONG = 4 << 20 };
    char *text = malloc(LONG + 64);

    assert_non_null(text);
    memset(text, 'a', LONG);
    snprintf(text + LONG, 64, " -----BEGIN PRIVATE KEY-----\nhunter2Secret\n");
    assert_null(strstr(clean(text), "hunter2"));
    for (size_t i = 0; i < LONG; i += 8)
        memcpy(text + i, "10.1.2.3", 8);
    snprintf(text + LONG, 64, "\npassword=hunter2Secret");
    assert_null(strstr(clean(text), "hunter2"));
    assert_non_null(strstr(out.data, "left out"));
    free(text);
}

static void what_a_log_needs_stays(void **state)
{
    static const char *const lines[] = {
        "[    1.234567] hv_vmbus: Vmbus version:5.3",
        "sha256 3ba3b309425b7ff53ba3b309425b7ff53ba3b309425b7ff53ba3b309425b7ff5",
        "BOOT_IMAGE=/boot/vmlinuz-6.1.0-56-amd64 root=/dev/sda1 ro quiet",
        "forward=tcp:127.0.0.1:2222-:22",
        "pci 0000:00:03.0: [1af4:1041] type 00 class 0x020000",
        "12:34:56 exits 1409",
        "disk: file, written to, 512 MiB",
        "mask 255.255.255.0",
        "serial: stdio",
        "error: the disk is full",
        "eth0: link up",
        "end:",
        "Started serial-getty@ttyS0.service",
        "/dev/disk/by-label/disk-controller-one",
        "serial=ttyS0,115200n8",
        "std::string Fcntl::open 10:20:30",
        "  entry_SYSCALL_64_after_hwframe+0x78/0x80",
        "C:\\Users\\Public\\log.txt",
        "kernel 10.0.19041.1234",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_string_equal(clean(lines[i]), lines[i]);
}

static void names_agree_everywhere(void **state)
{
    char first[200];
    const char *got = clean("from 192.168.7.9 by 52:54:00:12:34:56");

    assert_null(strstr(got, "192.168"));
    assert_null(strstr(got, "52:54"));
    snprintf(first, sizeof(first), "%s", got);
    got = clean("from 192.168.7.9 by 52:54:00:12:34:56");
    assert_string_equal(got, first);
    got = clean("from 192.168.7.8 by 52:54:00:12:34:56");
    assert_string_not_equal(got, first);
    got = clean("BUILD-7.corp.example: /home"
                "/mallory/x.img, mallory@corp.example, fe80::5054:ff:fe12:3456");
    assert_null(strcasestr(got, "corp"));
    assert_null(strcasestr(got, "mallory"));
    assert_null(strcasestr(got, "5054"));
    got = clean("uuid 6F9619FF-8B86-D011-B42D-00CF4FC964FF");
    assert_null(strcasestr(got, "8B86"));
    assert_true(redactor_found(r, 0) != NULL);
    assert_string_equal(redactor_found(r, 0)->value, "52:54:00:12:34:56");
}

/* One spelling or another, in a file's name, at the end of a sentence. */
static void spellings_agree(void **state)
{
    static const char *const same[][2] = {
        {"2001:db8::1", "2001:DB8:0:0:0:0:0:1"},
        {"10.1.2.3", "::ffff:10.1.2.3"},
        {"10.1.2.3", "vm_10.1.2.3_disk.log"},
        {"fe80::5054:ff:fe12:3456", "[fe80::5054:ff:fe12:3456]:22"},
        {"fe80::5054:ff:fe12:3456", "addr:fe80::5054:ff:fe12:3456."},
        {"52:54:00:12:34:56", "52-54-00-12-34-56"},
        {"52:54:00:12:34:56", "log_52:54:00:12:34:56.txt"},
        {"52:54:00:12:34:56", "5254.0012.3456"},
        {"52:54:00:12:34:56", "MacAddress: 525400123456"},
        {"564d2b3c-1122-3344-5566-778899aabbcc",
         "VMware-56 4d 2b 3c 11 22 33 44-55 66 77 88 99 aa bb cc"},
        {"564d2b3c-1122-3344-5566-778899aabbcc", "/boot/564d2b3c112233445566778899aabbcc/linux"},
        {"/Users/jörg/x", "C:\\Users\\jörg\\x"},
        {"/home/mallory", "it is /home/mallory."},
        {"serial=S3Z9NB0K123456A", "Serial Number: s3z9nb0k123456a"},
        {"iqn.2026-01.com.example:disk", "at iqn.2026-01.com.example:disk,1"},
        {"wwn-0x5000c500a1b2c3d4", "naa.5000c500a1b2c3d4"},
    };
    char name[32], *once;

    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        const char *at = clean(same[i][0]);

        name[0] = '\0';
        for (; *at && !name[0]; at++) {
            if (*at == '-' && strspn(at + 1, "0123456789abcdef") >= 8)
                snprintf(name, sizeof(name), "%.9s", at);
        }
        if (!name[0])
            fail_msg("%s stays", same[i][0]);
        once = strdup(clean(same[i][0]));
        assert_non_null(once);
        if (!strstr(clean(once), name)) /* a false name gets no other one */
            fail_msg("%s became %s, then %s", same[i][0], once, out.data);
        free(once);
        if (!strstr(clean(same[i][1]), name))
            fail_msg("%s became %s without %s", same[i][1], out.data, name);
        assert_null(strstr(out.data, "3456"));
        assert_null(strstr(out.data, "rg"));
    }
}

static void any_bytes_are_borne(void **state)
{
    char all[512];

    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    redact(r, all, sizeof(all), &out);
    assert_false(out.failed);
    redact(r, "", 0, &out);
    redact(r, "\n\n", 2, &out);
    redact(r, "-----BEGIN X", 12, &out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(no_secret_comes_through),
        TEST(utf_16_is_read),
        TEST(nothing_is_found_in_what_was_cleaned),
        TEST(a_long_line_does_not_hold_it_up),
        TEST(what_a_log_needs_stays),
        TEST(names_agree_everywhere),
        TEST(spellings_agree),
        TEST(any_bytes_are_borne),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
