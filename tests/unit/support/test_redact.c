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
    "Password: hunter2Secret",
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
        TEST(what_a_log_needs_stays),
        TEST(names_agree_everywhere),
        TEST(any_bytes_are_borne),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
