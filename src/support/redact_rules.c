/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact_rules.c - see redact_rules.h. A rule that takes too much costs a word of a log, one that
 * takes too little costs a password: they are greedy.
 */
#include "support/redact_rules.h"

/* Words in the names of keys; three groups. */
#define KEY_HINTS                                                                                  \
    "pass|secret|token|key|credential|cookie|psk|pwd|pw|otp|pin|session|vnc.key|keysafe"
#define KEY                                                                                        \
    "(pass(word|wd|phrase|code)?|secret|token|api[_-]?key|credentials?|private[_-]?key|"           \
    "access[_-]?key|auth[_-]?key|encryption[_.-]?key|encryption[_.-]data|session[_-]?id|cookie|"   \
    "psk|pwd|pw|"                                                                                  \
    "luks[_-]?key|(account|master|signing|shared|preshared|license|product|storage)[ _-]?key|"     \
    "vnc[._-]key|keysafe|otp|pin)[A-Za-z0-9_.-]*"
#define IS "[\"']?[ \t]*[:=][ \t]*"
/* A value in any quoting, or a word. It has one group inside. */
#define VALUE "(\"([^\"\\]|\\\\.)*\"|'[^']*'|[^ \t\"']+)"
/* Where a token may begin. */
#define EDGE "(^|[^A-Za-z0-9])"

const struct redact_rule redact_secrets[REDACT_SECRETS] = {
    {"authorization", "bearer|basic|digest|negotiate",
     "(bearer|basic|digest|negotiate)[ \t]+([A-Za-z0-9._~+/=:-]{6,})", 2},
    {"authorization", "authorization|x-auth-token|cookie",
     "(authorization|x-auth-token|set-cookie|cookie)[ \t]*[:=][ \t]*(.+)$", 2},
    {"password", KEY_HINTS, KEY IS "\"(([^\"\\]|\\\\.)*)\"", 4},
    {"password", KEY_HINTS, KEY IS "'([^']*)'", 4},
    {"password", KEY_HINTS, KEY "\\\\+[\"'][ \t]*[:=][ \t]*\\\\+[\"']([^\"'\\]+)", 4},
    {"password", KEY_HINTS, KEY IS "[\"']([^\"']+)$", 4}, /* its end is in another line */
    {"password", KEY_HINTS, KEY IS "[\"']?([^ \t\"']+)", 4, true},
    {"password", "reg_", KEY "[ \t]+REG_[A-Z_]+[ \t]+(.+)$", 4},
    {"password", "-p|--",
     "(^|[ \t])(-p|--[a-z-]*(pass|password|passwd|passphrase|token|secret|api-?key))[ =]" VALUE, 4},
    {"password", "-u|--user|--proxy-user",
     "(-u|--user|--proxy-user)[ =]+[\"']?[^ :\"']+:([^ \t\"']+)", 2},
    {"password", "mysql|mariadb|sshpass", "(mysql|mariadb|sshpass)[^ ]*([ \t].*)?[ \t]-p([^ \t]+)",
     3},
    {"password", "rootpw", "rootpw([ \t]+--[a-z]+)*[ \t]+" VALUE, 2},
    {"password", "-password", "(root|user)-password(-again|-crypted)?[ \t]+password[ \t]+(.+)$", 3},
    {"password", "pass|secret|community|bindpw|masterauth",
     "(^|[ \t])(password|passwd|passphrase|secret|requirepass|masterauth|r[ow]community|community|"
     "(root)?bindpw)[ \t]+((is|to|was|as)[:=]?[ \t]+)?([\"']?[^ \t\"',;:=]+)",
     6},
    /* What a shell hands to a program that wants a password. */
    {"password", "echo|printf",
     "(echo|printf)[ \t]+([^|]+)\\|[^|]*(passwd|cryptsetup|sudo|login|-stdin|kinit|openssl)", 2},
    {"password", "<<<", "<<<[ \t]*" VALUE, 1},
    {"password", "auth", "\"auth\"[ \t]*:[ \t]*\"([^\"]+)\"", 1},
    {"password", "value", KEY "[\"'][^{}<>]*value[\"']?[ \t]*[:=][ \t]*[\"']([^\"']+)", 4},
    {"password", "password", "password[^<>]*>[ \t]*(<value>)?([^< \t][^<]*)<", 2},
    {"password", "<", "<[^<>/]*" KEY "[^<>]*>([^<]+)<", 4},
    {"password", "<value>", "<value>([^<]+)</value>", 1},
    {"password", "secret,", "secret,[^ ]*data=([^, \t]+)", 1},
    /* What chpasswd reads: a user, a colon, a password, nothing else in the line. */
    {"password", ":", "^[ \t-]*[A-Za-z_][A-Za-z0-9_-]*:([^ \t:/\\\"'<>][^ \t:<>]{5,})$", 1},
    {"password", "chpasswd|list", "(chpasswd|list):[ \t]*[\"']?[A-Za-z0-9_.-]+:([^ \t\"',]+)", 2},
    {"password", "://", "://[^/@: \t\"]*:([^@ \t\"]+)@", 1},
    {"password", "@", "[A-Za-z0-9_.-]+:([^:@/ \t\"'=]+)@", 1}, /* iscsi:USER:PASSWORD@... */
    {"password-hash", "$", "(\\$(1|5|6|7|2[abxy]|y|gy|argon2[a-z]*)\\$[./A-Za-z0-9$,=+-]{8,})", 1},
    {"token", "gh|gl|xox|xapp",
     EDGE "((gh[opsur]_|github_pat_|gl[a-z]{2,4}-|xox[a-z]-|xapp-)[A-Za-z0-9_-]{10,})", 2},
    {"token", "sk-|_live_|_test_|whsec_|akia|asia|aiza|ya29.|gocspx-|1//0",
     EDGE "((sk-|[sprw]k_(live|test)_|whsec_|AKIA|ASIA|AIza|ya29\\.|GOCSPX-|1//0)"
          "[A-Za-z0-9_-]{10,})",
     2},
    {"token", "npm_|_v1_|hv|hf_|nvapi-|shp|dckr_|tskey-|pypi-|sg.|sq0|age-|eaac|glsa_",
     EDGE "((npm_|do[opr]_v1_|hv[bsr]\\.|hf_|nvapi-|shp[a-z]{2}_|dckr_[a-z]+_|tskey-|pypi-|SG\\.|"
          "sq0[a-z]{3}-|AGE-SECRET-KEY-|EAAC|glsa_)[A-Za-z0-9_.-]{10,})",
     2},
    {"token", "eyj", "(eyJ[A-Za-z0-9_-]{6,}\\.[A-Za-z0-9_-]{6,}\\.[A-Za-z0-9_-]*)", 1},
    {"token", "hooks.slack|webhook",
     "(hooks\\.slack\\.com/[a-z]+|/webhooks?[a-z0-9]*)/([^ \t\"']+)", 2},
    {"product-key", "-", EDGE "([A-Z0-9]{5}(-[A-Z0-9]{5}){4})($|[^A-Za-z0-9-])", 2},
    {"signature", "sig|key|token|code|credential",
     "[?&](sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|key|access_token|"
     "code)=([^& \t\"]+)",
     2},
    {"password", "net use", "net use .*[ \t]([^ \t]+)[ \t]+/user:", 1},
    {"password", "snmp|-c", "snmp[a-z]*[ \t].*-c[ \t]+([^ \t]+)", 1},
    {"password", "/p:|/rp:|/password:", "(^|[ \t])/(r?p|password):([^ \t]+)", 3},
};

const struct redact_rule redact_ids[REDACT_IDS] = {
    {"uuid", "-", "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", 1},
    {"uuid", NULL, "(([0-9a-f]{2} ){7}[0-9a-f]{2}-([0-9a-f]{2} ){7}[0-9a-f]{2})", 1},
    {"uuid", NULL, "([0-9a-f]{32})", 1}, /* a machine id */
    {"mac", NULL, "(([0-9a-f]{2}[:-]){5,31}[0-9a-f]{2})", 1},
    {"mac", ".", "([0-9a-f]{4}\\.[0-9a-f]{4}\\.[0-9a-f]{4})", 1},
    {"mac", "mac|hwaddr|ether", "(mac|hwaddr|ether)[a-z0-9_. -]*" IS "[\"']?([0-9a-f]{12})", 2},
    {"mail", "aaaa", "AAAA[A-Za-z0-9+/=]{20,}[ \t]+([^ \t\"@]+@[^ \t\"]+)", 1}, /* of an SSH key */
    {"mail", "@", "([A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+)", 1},
    {"ip", ".", "(([0-9]{1,3}\\.){3}[0-9]{1,3})", 1},
    {"user", "home|users", "([/\\]home|[/\\]Users)[/\\]+([^]/\\ \t\"':;,)(>[]+)", 2},
    {"key", "aaaa", "(AAAA[A-Z][0-9A-Za-z][A-Za-z0-9+/=]{20,})", 1},
    {"iqn", "iqn.", "(iqn\\.[0-9]{4}-[0-9]{2}\\.[^ \t\"',;]+)", 1},
    {"wwn", "naa|eui|wwn", "(naa\\.|eui\\.|wwn[-=: ]+0x)([0-9a-f]{16,32})", 2},
    {"serial", "serial|service|asset",
     "(serial([ _-]?(number|num|no))?|service[ _-]?tag|asset[ _-]?tag)" IS
     "[\"']?([A-Za-z0-9][A-Za-z0-9._-]{4,})",
     4},
};

#define YAML_KEY "^[ \t-]*[\"']?[A-Za-z0-9_.-]*" KEY "[\"']?[ \t]*:[ \t]*"

const struct redact_rule redact_yaml_block = {"password", ":", YAML_KEY "[|>][0-9+-]*[ \t]*$", 0};
const struct redact_rule redact_yaml_next = {"password", ":", YAML_KEY "$", 0};
