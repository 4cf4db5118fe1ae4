/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of every kind but .vmx: what is kept, changed, dropped and refused. */
#include "fixture.h"

#define ITEM(fields) "<Item>" fields "</Item>"
#define F(name, value) "<rasd:" name ">" value "</rasd:" name ">"
#define OVF(extra, type, body)                                                                     \
    "<Envelope xmlns:ovf='o' xmlns:rasd='r' xmlns:vmw='w'><References>"                            \
    "<File ovf:href='a.vmdk' ovf:id='f1'/></References><DiskSection><Disk ovf:diskId='d1' "        \
    "ovf:fileRef='f1'/></DiskSection>" extra                                                       \
    "<VirtualSystem ovf:id='one'><Name>one</Name><VirtualHardwareSection "                         \
    "ovf:transport='com.vmware.guestInfo'><System><VirtualSystemType>" type                        \
    "</VirtualSystemType></System>" ITEM(F("InstanceID", "1") F("ResourceType", "3")               \
                                             F("VirtualQuantity", "2")) body                       \
        "</VirtualHardwareSection></VirtualSystem></Envelope>"
#define DISK                                                                                       \
    ITEM(F("InstanceID", "3") F("ResourceType", "6") F("ResourceSubType", "what, VirtualSCSI"))    \
    ITEM(F("InstanceID", "4") F("ResourceType", "17") F("Parent", "3") F("AddressOnParent", "2")   \
             F("HostResource", "ovf:/disk/d1"))

static void an_ovf_of_vmware_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        take_text(
            "a.ovf",
            OVF("", "vmx-04 vmx-13",
                DISK ITEM(F("InstanceID", "5") F("ResourceType", "10") F(
                    "ResourceSubType", "VmxNet3") F("Connection", "lan")
                              F("Address",
                                "00:50:56:01:02:03") "<vmw:Config vmw:key='slotInfo.pciSlotNumber' "
                                                     "vmw:value='192'/>")
                    ITEM(F("InstanceID", "6") F("ResourceType", "4") F("AllocationUnits",
                                                                       "byte * 2^30")
                             F("VirtualQuantity",
                               "2")) "<vmw:Config vmw:key='firmware' vmw:value='efi'/>"
                                     "<vmw:ExtraConfig vmw:key='guestinfo.a' vmw:value='b,c'/>")),
        0);
    assert_string_equal(plan.persona, "vmware");
    assert_string_equal(plan.hardware, "vmx-04");
    assert_int_equal(plan.cpus, 2);
    assert_int_equal(plan.memory, 2 * GiB);
    assert_string_equal(plan.firmware, "uefi");
    assert_string_equal(plan.disk[0].bus, "pvscsi");
    assert_int_equal(plan.disk[0].unit, 2);
    assert_true(ends(plan.disk[0].path, "/a.vmdk"));
    assert_string_equal(plan.nic[0].model, "vmxnet3");
    assert_string_equal(plan.nic[0].lan, "lan");
    assert_int_equal(plan.nic[0].place.slot, 192);
    assert_int_equal(plan.nic[0].mac[5], 3);
    assert_string_equal(plan.persona_opts, "guestinfo.a=b,,c");
    assert_int_equal(fate("VirtualSystemType"), IMPORT_CHANGED);
}

static void references_are_uris(void **state)
{
    static const char text[] =
        "<Envelope><References><File href='a%20b.vmdk' id='f'/></References><VirtualSystem>"
        "<VirtualHardwareSection><Item><ResourceType>17</ResourceType><HostResource>/file/f"
        "</HostResource></Item></VirtualHardwareSection></VirtualSystem></Envelope>";

    (void)state;
    assert_int_equal(take_text("a.ovf", text), 0);
    assert_true(ends(plan.disk[0].path, "/a b.vmdk"));
    put_text("a%20b.vmdk", "");
    assert_int_equal(take("a.ovf"), 0);
    assert_true(ends(plan.disk[0].path, "/a%20b.vmdk"));
}

static void an_ovf_of_citrix_or_hyperv_says_so(void **state)
{
    (void)state;
    assert_int_equal(take_text("a.ovf", OVF("", "xen-3",
                                            "<OtherSystemSettingData Name='platform'>nx=true;"
                                            "device_id=0002</OtherSystemSettingData>")),
                     0);
    assert_string_equal(plan.persona, "xen");
    assert_string_equal(plan.persona_opts, "device-id=0002");
    assert_int_equal(
        take_text("a.ovf",
                  OVF("", "Microsoft:Hyper-V",
                      ITEM(F("InstanceID", "3") F("ResourceType", "6")
                               F("ResourceSubType", "Microsoft:Hyper-V:Synthetic SCSI Controller"))
                          ITEM(F("InstanceID", "4") F("ResourceType", "17") F("Parent", "3")
                                   F("HostResource", "/disk/d1")))),
        0);
    assert_string_equal(plan.persona, "hyperv");
}

static void of_several_machines_one_is_picked(void **state)
{
#define SYSTEM(id, cpus)                                                                           \
    "<VirtualSystem id='" id "'><VirtualHardwareSection>" ITEM(                                    \
        F("InstanceID", "1") F("ResourceType", "3")                                                \
            F("VirtualQuantity", cpus)) "</VirtualHardwareSection></VirtualSystem>"
    static const char two[] = "<Envelope xmlns:rasd='r'><VirtualSystemCollection>" SYSTEM("a", "1")
        SYSTEM("b", "3") "</VirtualSystemCollection></Envelope>";

    (void)state;
    assert_int_equal(take_text("a.ovf", two), -EINVAL);
    assert_non_null(strstr(e.msg, "--pick: a, b"));
    wish.choice = "b";
    assert_int_equal(take("a.ovf"), 0);
    assert_int_equal(plan.cpus, 3);
    wish.choice = "c";
    assert_int_equal(take("a.ovf"), -EINVAL);
}

static void of_several_configurations_the_default_or_one_is_taken(void **state)
{
    static const char text[] =
        OVF("<DeploymentOptionSection><Configuration ovf:id='s'/><Configuration ovf:id='l' "
            "ovf:default='true'/></DeploymentOptionSection>",
            "vmx-13",
            "<Item ovf:configuration='l'>" F("InstanceID", "1") F("ResourceType", "3")
                F("VirtualQuantity", "8") "</Item><Item ovf:bound='max'>" F("InstanceID", "1")
                    F("ResourceType", "3") F("VirtualQuantity", "16") "</Item>");

    (void)state;
    assert_int_equal(take_text("a.ovf", text), 0);
    assert_int_equal(plan.cpus, 8);
    wish.choice = "s";
    assert_int_equal(take("a.ovf"), 0);
    assert_int_equal(plan.cpus, 2);
}

static void properties_reach_the_guest(void **state)
{
    static const char text[] =
        "<Envelope xmlns:ovf='o'><VirtualSystem><ProductSection ovf:class='c'><Property "
        "ovf:key='k' ovf:value='a&lt;b'/></ProductSection><VirtualHardwareSection "
        "ovf:transport='iso com.vmware.guestInfo'/></VirtualSystem></Envelope>";

    (void)state;
    assert_int_equal(take_text("a.ovf", text), 0);
    assert_non_null(strstr(plan.persona_opts, "guestinfo.ovfEnv="));
    assert_non_null(strstr(plan.persona_opts, "oe:key=\"c.k\" oe:value=\"a&lt;b\""));
}

/* --- archives --- */

static char tar[64 << 10];
static size_t tar_len;

static void tar_add(const char *name, const char *text)
{
    char *h = tar + tar_len;
    size_t n = strlen(text);
    unsigned sum = 0;

    memset(h, 0, 512);
    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "0000644");
    snprintf(h + 124, 12, "%011o", (unsigned)n);
    memcpy(h + 148, "        ", 8);
    h[156] = '0';
    memcpy(h + 257, "ustar\00000", 8);
    for (unsigned i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    memcpy(h + 512, text, n);
    tar_len += 512 + (n + 511) / 512 * 512;
}

static void tar_put(const char *name)
{
    put_bytes(name, tar, tar_len + 1024);
    tar_len = 0;
    memset(tar, 0, sizeof(tar));
}

static void an_ova_is_checked_and_used_in_place(void **state)
{
    (void)state;
    tar_add("one.ovf", OVF("", "vmx-13", DISK));
    tar_add("one.mf", "SHA1(a.vmdk)= 4fcffa12af2df18f06edca9f4a7bff5a8f90f632\r\n"
                      "SHA256(a.vmdk)= "
                      "c1e3518b28cb4e8aee72a2d9da33a30a1b6cc1ae4ee1ef9d5bd22fab5ba95ef9\n");
    tar_add("a.vmdk", "a disk\n");
    tar_put("one.ova");
    wish.unchecked = true;
    assert_int_equal(take("one.ova"), 0);
    assert_true(ends(plan.disk[0].path, "/one.ova:a.vmdk"));
    wish.unchecked = false;
    assert_int_equal(take("one.ova"), -EINVAL);
    assert_non_null(strstr(e.msg, "not what the manifest says (line "));
    wish.quick = true; /* only the descriptor's own digest would count */
    assert_int_equal(take("one.ova"), 0);
}

static void an_ova_with_a_good_manifest_is_taken(void **state)
{
    (void)state;
    tar_add("one.ovf", OVF("", "vmx-13", DISK));
    tar_add("one.mf", "SHA512(a.vmdk)= "
                      "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
                      "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e\n"
                      "SHA1(a.vmdk)= da39a3ee5e6b4b0d3255bfef95601890afd80709\n");
    tar_add("a.vmdk", "");
    tar_put("one.ova");
    assert_int_equal(take("one.ova"), 0);
    assert_int_equal(fate("SHA512(a.vmdk)"), IMPORT_KEPT);
}

static void a_broken_ova_is_refused(void **state)
{
    (void)state;
    tar_add("one.ovf", OVF("", "vmx-13", DISK));
    tar_put("one.ova"); /* without its disk */
    assert_int_equal(take("one.ova"), -EINVAL);
    tar_add("a.vmdk", "x");
    tar_put("one.ova");
    assert_int_equal(take("one.ova"), -EINVAL);
    assert_non_null(strstr(e.msg, "no .ovf"));
    tar_add("one.ovf", OVF("", "vmx-13", DISK));
    put_bytes("one.ova", tar, 700);
    tar_len = 0;
    assert_int_equal(take("one.ova"), -EINVAL);
    assert_int_equal(e.exit, EX_BAD_INPUT);
}

#define V(text) "<value>" text "</value>"
#define FIELD(name, value) "<member><name>" name "</name>" value "</member>"
#define S(members) V("<struct>" members "</struct>")
#define RECORD(class, id, members)                                                                 \
    S(FIELD("class", V(class)) FIELD("id", V(id)) FIELD("snapshot", S(members)))

static void an_xva_is_read(void **state)
{
    static const char text[] = V("<struct>" FIELD(
        "objects",
        V("<array><data>" RECORD(
            "VM", "Ref:0",
            FIELD("uuid", V("7b10d7af-b932-4c66-b2c3-3996152ec465")) FIELD("name_label", V("web"))
                FIELD("VCPUs_max", V("2")) FIELD("memory_static_max", V("536870912"))
                    FIELD("is_a_snapshot", V("<boolean>0</boolean>"))
                        FIELD("platform", S(FIELD("device_id", V("0002")) FIELD("vtpm", V("true"))))
                            FIELD("HVM_boot_params",
                                  S(FIELD("firmware", V("uefi")) FIELD("order", V("cd")))))
              RECORD("VBD", "Ref:1",
                     FIELD("VM", V("Ref:0")) FIELD("VDI", V("Ref:3")) FIELD("userdevice", V("1"))
                         FIELD("type", V("Disk")) FIELD("mode", V("RW")))
                  RECORD("VDI", "Ref:3", FIELD("virtual_size", V("1048576")))
                      RECORD("VIF", "Ref:4",
                             FIELD("VM", V("Ref:0")) FIELD("MAC", V("00:16:3e:66:92:9c"))
                                 FIELD("network", V("Ref:5")))
                          RECORD("network", "Ref:5",
                                 FIELD("name_label", V("pool"))) "</data></array>")) "</struct>");

    (void)state;
    tar_add("ova.xml", text);
    tar_add("Ref:3/00000000", "a");
    tar_add("Ref:3/00000000.checksum", "0123");
    tar_add("Ref:3/00000002", "cd");
    tar_put("web.xva");
    assert_int_equal(take("web.xva"), 0);
    assert_string_equal(plan.persona, "xen");
    assert_string_equal(plan.persona_opts, "device-id=2");
    assert_string_equal(plan.firmware, "uefi");
    assert_string_equal(plan.tpm, "2.0");
    assert_int_equal(plan.memory, 512 * MiB);
    assert_true(ends(plan.disk[0].path, "/web.xva:Ref:3"));
    assert_int_equal(plan.disk[0].unit, 1);
    assert_int_equal(plan.disk[0].boot, 1);
    assert_string_equal(plan.nic[0].lan, "pool");
}

/* --- the others --- */

static void a_libvirt_domain_is_read(void **state)
{
    static const char text[] =
        "<domain type='qemu'><name>a</name><memory unit='MiB'>64</memory><os firmware='efi'>"
        "<type machine='q35'>hvm</type><firmware><feature enabled='yes' name='secure-boot'/>"
        "</firmware><bootmenu enable='yes' timeout='2500'/></os><clock "
        "offset='localtime'/><devices>"
        "<disk type='file' device='disk'><source file='/x/b.img'/><target dev='vdb' "
        "bus='virtio'/></disk><disk type='file' device='disk'><source file='a.img'/>"
        "<target dev='vda' bus='virtio'/><serial>s</serial><address type='pci' bus='0x00' "
        "slot='0x05' function='0x0'/></disk><disk type='network'><target dev='sda' bus='scsi'/>"
        "</disk><interface type='bridge'><source bridge='br0'/><boot order='1'/></interface>"
        "</devices></domain>";

    (void)state;
    assert_int_equal(take_text("a.xml", text), 0);
    assert_string_equal(plan.persona, "kvm");
    assert_true(plan.secure_boot && plan.rtc_local);
    assert_string_equal(plan.machine, "q35");
    assert_string_equal(plan.firmware_opts, "menu=3");
    assert_int_equal(plan.disks, 2);
    assert_true(ends(plan.disk[0].path, "/a.img"));
    assert_string_equal(plan.disk[0].serial, "s");
    assert_string_equal(plan.disk[0].place.pci, "0000:00:05.0");
    assert_string_equal(plan.nic[0].lan, "br0");
    assert_int_equal(plan.nic[0].boot, 1);
    assert_int_equal(take_text("a.xml", "<domain type='bhyve'><name>a</name><memory>65536</memory>"
                                        "<os><type>hvm</type></os><devices><disk type='file'>"
                                        "<source file='a.img'/><target dev='sda' bus='sata'/>"
                                        "</disk></devices></domain>"),
                     0);
    assert_string_equal(plan.persona, "bare");
    assert_int_equal(take_text("a.xml", "<domain type='kvm'><os><type arch='aarch64'>hvm</type>"
                                        "</os></domain>"),
                     -EINVAL);
    assert_non_null(strstr(e.msg, "line 1: domain/os/type/@arch"));
}

static void a_virtualbox_machine_is_read(void **state)
{
#define VBOX(inside)                                                                               \
    "<VirtualBox><Machine uuid='{a6277950-3d1b-45d3-b2fd-dc1f385027e1}' name='one' " inside        \
    "</Machine></VirtualBox>"
    static const char text[] = VBOX(
        "><MediaRegistry><HardDisks><HardDisk uuid='{11111111-1111-1111-1111-111111111111}' "
        "location='a.vdi'><HardDisk uuid='{22222222-2222-2222-2222-222222222222}' "
        "location='Snapshots/b.vdi'/></HardDisk></HardDisks></MediaRegistry><Hardware>"
        "<Memory RAMSize='64'/><RTC localOrUTC='local'/><Network><Adapter slot='0' enabled='true' "
        "MACAddress='080027AABBCC' type='82540EM'/><Adapter slot='1' enabled='false'/></Network>"
        "<StorageControllers><StorageController type='AHCI'><AttachedDevice type='HardDisk' "
        "port='1' device='0'><Image uuid='{22222222-2222-2222-2222-222222222222}'/>"
        "</AttachedDevice></StorageController></StorageControllers></Hardware>");

    (void)state;
    assert_int_equal(take_text("a.vbox", text), 0);
    assert_string_equal(plan.persona, "bare");
    assert_int_equal(plan.uuid[0], 0x50); /* as guests of before 7.2 saw it */
    assert_true(ends(plan.disk[0].path, "/Snapshots/b.vdi"));
    assert_int_equal(plan.disk[0].unit, 1);
    assert_int_equal(plan.nics, 1);
    assert_string_equal(plan.nic[0].model, "e1000");
    assert_int_equal(take_text("a.vbox", VBOX("stateFile='x'><Hardware/>")), -EINVAL);
}

static void a_hyperv_xml_is_read(void **state)
{
    static const char text[] =
        "<configuration><properties><name type='string'>old</name><subtype "
        "type='integer'>1</subtype></properties><settings/><manifest><vdev001><device>"
        "d422512d-2bf2-4752-809d-7b82b5fcb1b4</device><instance>"
        "73e0f0c5-c0bc-4e16-a458-0e1c388bfee3</instance></vdev001></manifest>"
        "<_73e0f0c5-c0bc-4e16-a458-0e1c388bfee3_><ChannelInstanceGuid>"
        "{7D6F884F-489B-48EB-991E-E04EA1219D12}</ChannelInstanceGuid><controller0><drive2><type>VHD"
        "</type><pathname>C:\\VMs\\a.vhdx</pathname></drive2></controller0>"
        "</_73e0f0c5-c0bc-4e16-a458-0e1c388bfee3_></configuration>";
    char path[80];

    (void)state;
    assert_int_equal(take_text("a.xml", text), 0);
    assert_string_equal(plan.persona, "hyperv");
    assert_string_equal(plan.firmware, "uefi");
    assert_string_equal(plan.disk[0].bus, "scsi");
    assert_int_equal(plan.disk[0].unit, 2);
    assert_true(ends(plan.disk[0].path, "/a.vhdx"));
    assert_true(plan.ctl[0].place.instance.said);
    assert_int_equal(plan.ctl[0].place.instance.b[0], 0x7d);
    /* In an export, the folder alone is enough. */
    snprintf(path, sizeof(path), "%s/x", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/x/Virtual Machines", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/x/Virtual Hard Disks", dir);
    mkdir(path, 0700);
    put_text("x/Virtual Machines/id.xml", text);
    put_text("x/Virtual Hard Disks/a.vhdx", "");
    assert_int_equal(take("x"), 0);
    assert_true(ends(plan.disk[0].path, "/Virtual Hard Disks/a.vhdx"));
}

static void an_xl_file_is_read_and_never_executed(void **state)
{
    static const char *const bad[] = {
        "import os\nname = 'a'\n",      "name = 'a' % 1\nmemory = 4\n",
        "name = os.uname()\n",          "name = ['a'\nmemory = 64\n",
        "name = \"a\nmemory = 64\n",    "if x:\n  memory = 4\n",
        "memory = 64\nname = '''a''\n", "memory = 64 + 1\nname='a'\n",
        "disk = [[[[[[[[[[1]]]]]]]]]]",
    };

    (void)state;
    wish.format = "xl";
    assert_int_equal(take_text("a.cfg",
                               "name = 'a' # x\nmemory = 64; vcpus = 2\nbuilder = \"hvm\"\n"
                               "disk = [ 'phy:/dev/b,hdb,w', \"format=qcow2,vdev=xvda,"
                               "access=ro,target=/x/a,1.qcow2\", ',hdc:cdrom,r' ]\n"
                               "vif = ['mac=00:16:3e:66:92:9c,bridge=br0,model=e1000',]\n"
                               "vnuma = [ [ 'pnode=0', 'size=64' ] ]\n"),
                     0);
    assert_int_equal(plan.disks, 3);
    assert_true(ends(plan.disk[0].path, "/a,1.qcow2"));
    assert_string_equal(plan.disk[0].format, "qcow2");
    assert_int_equal(plan.disk[0].write, PLAN_READONLY);
    assert_int_equal(plan.disk[1].unit, 1);
    assert_true(plan.disk[2].cdrom);
    assert_null(plan.disk[2].path);
    assert_string_equal(told("disk/0/vdev")->to, "xvdb");
    assert_int_equal(fate("vnuma/0/1"), IMPORT_DROPPED);
    assert_int_equal(take_text("a.cfg", "name = \"\"\"a \"b\"\nc\"\"\"\nmemory = 64\n"
                                        "disk = ['/a,raw,xvda']\nvif = ['']\n"),
                     0);
    assert_string_equal(plan.title, "a \"b\"\nc");
    assert_int_equal(plan.nics, 1);
    assert_int_equal(fate("vif/0"), IMPORT_KEPT);
    assert_int_equal(take_text("a.cfg", "name = 'a'\nmemory = 64\ndisk = ['/a,raw,hdba']\n"), 0);
    assert_int_equal(plan.disk[0].unit, 52);
    assert_string_equal(told("disk/0/vdev")->to, "xvdba");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (take_text("a.cfg", bad[i]) != -EINVAL || !strstr(e.msg, "line "))
            fail_msg("taken: %s (%s)", bad[i], e.msg);
    }
}

static void a_proxmox_file_is_read_without_its_snapshots(void **state)
{
    (void)state;
    assert_int_equal(take_text("100.conf",
                               "#a%3Ab\n#c\nname: web\nmemory: 512\nsockets: 2\ncores: 2\n"
                               "scsihw: virtio-scsi-single\nscsi1: local:100/b.qcow2,serial=s\n"
                               "net0: virtio=A2:C0:43:77:08:A0,bridge=vmbr0\nostype: win11\n"
                               "smbios1: base64=1,serial=c2VyaWFs\nboot: order=net0;scsi1\n"
                               "tpmstate0: local:x,version=v2.0\n\n[snap]\nmemory: 64\n"),
                     0);
    assert_int_equal(plan.memory, 512 * MiB);
    assert_int_equal(plan.cpus, 4);
    assert_string_equal(plan.notes, "a:b\nc");
    assert_true(plan.rtc_local);
    assert_string_equal(plan.smbios.serial, "serial");
    assert_string_equal(plan.disk[0].bus, "virtio-scsi");
    assert_string_equal(plan.disk[0].serial, "s");
    assert_int_equal(plan.disk[0].boot, 2);
    assert_int_equal(plan.nic[0].boot, 1);
    assert_string_equal(plan.nic[0].place.pci, "0000:00:12.0");
    assert_string_equal(plan.tpm, "2.0");
    assert_int_equal(fate("[snap]/memory"), IMPORT_DROPPED);
    assert_int_equal(take_text("100.conf", "name: a\nmemory: 64\ncores: 1\nnonsense\n"), -EINVAL);
    assert_non_null(strstr(e.msg, "line 4"));
}

static void of_proxmox_older_words_and_cloud_init_are_known(void **state)
{
    (void)state;
    assert_int_equal(take_text("101.conf",
                               "name: web\nmemory: 512\nboot: dc\nbootdisk: sata1\n"
                               "ide2: local:iso/a.iso,media=cdrom\nsata0: local:101/a.qcow2\n"
                               "sata1: local:101/b.qcow2,serial=A%20B\nciuser: root\n"
                               "net0: virtio=A2:C0:43:77:08:A0,bridge=vmbr0,link_down=1\n"),
                     0);
    assert_int_equal(plan.disk[0].boot, 1); /* the disc, then the disk that bootdisk names */
    assert_int_equal(plan.disk[1].boot, 0);
    assert_int_equal(plan.disk[2].boot, 2);
    assert_string_equal(plan.disk[2].serial, "A B");
    assert_int_equal(fate("boot/file"), IMPORT_KEPT);
    assert_non_null(strstr(why("ciuser"), "cloud-init"));
    assert_non_null(strstr(why("net0/link_down"), "cable"));
    assert_int_equal(take_text("101.conf", "name: web\nmemory: 8G\ncores: 1\n"), -EINVAL);
    assert_non_null(strstr(e.msg, "of MiB"));
}

/* A drive is part of a machine, with or without a disc; what a host's own drive held is not. */
static void drives_without_a_disc_are_brought_along(void **state)
{
    static const struct {
        const char *name, *text;
        int controller, unit;
    } kinds[] = {
        {"102.conf", "name: a\nmemory: 512\nide2: none,media=cdrom\n", 1, 0},
        {"103.conf", "name: a\nmemory: 512\nide3: cdrom,media=cdrom\n", 1, 1},
        {"a.xml",
         "<domain type='kvm'><name>a</name><memory>65536</memory><os><type>hvm</type></os>"
         "<devices><disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>"
         "</devices></domain>",
         1, 0},
        {"a.vbox",
         VBOX("><Hardware/><StorageControllers><StorageController name='IDE' type='PIIX4'>"
              "<AttachedDevice type='DVD' port='1' device='0'/></StorageController>"
              "</StorageControllers>"),
         1, 0},
        {"b.vbox",
         VBOX("><Hardware/><StorageControllers><StorageController name='IDE' type='PIIX4'>"
              "<AttachedDevice type='DVD' port='0' device='1'><HostDrive src='/dev/sr0'/>"
              "</AttachedDevice></StorageController></StorageControllers>"),
         0, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        wish.format = NULL;
        if (take_text(kinds[i].name, kinds[i].text) != 0)
            fail_msg("%s: %s", kinds[i].name, e.msg);
        assert_int_equal(plan.disks, 1);
        assert_true(plan.disk[0].cdrom);
        assert_null(plan.disk[0].path);
        assert_string_equal(plan.disk[0].bus, "ide");
        assert_int_equal(plan.disk[0].controller, kinds[i].controller);
        assert_int_equal(plan.disk[0].unit, kinds[i].unit);
    }
    assert_non_null(strstr(told("Machine/StorageControllers/StorageController/AttachedDevice/"
                                "HostDrive/@src")
                               ->why,
                           "another host"));
}

/* After all disks, so that guests count those as before. */
static void floppies_are_brought_along(void **state)
{
    (void)state;
    assert_int_equal(take_text("a.vmx", "config.version = \"8\"\ndisplayName = \"a\"\n"
                                        "memSize = \"64\"\n"
                                        "floppy0.present = \"TRUE\"\nfloppy0.fileType = \"file\"\n"
                                        "floppy0.fileName = \"a.flp\"\n"
                                        "floppy1.present = \"TRUE\"\nfloppy1.fileName = \"A:\"\n"
                                        "floppy1.fileType = \"device\"\n"
                                        "ide0:0.present = \"TRUE\"\nide0:0.fileName = \"a.vmdk\"\n"
                                        "bios.bootOrder = \"hdd,floppy\"\n"),
                     0);
    assert_int_equal(plan.disks, 3);
    assert_string_equal(plan.disk[1].bus, "floppy");
    assert_true(ends(plan.disk[1].path, "/a.flp"));
    assert_int_equal(plan.disk[1].boot, 2);
    assert_string_equal(plan.disk[2].bus, "floppy");
    assert_null(plan.disk[2].path); /* the host's own */
    assert_int_equal(plan.disk[2].unit, 1);
    assert_string_equal(told("floppy1.fileName")->to, "none");
    assert_int_equal(take_text("a.xml",
                               "<domain type='kvm'><name>a</name><memory>65536</memory><os>"
                               "<type>hvm</type><boot dev='fd'/></os><devices>"
                               "<disk type='file' device='floppy'><source file='a.img'/>"
                               "<target dev='fda' bus='fdc'/></disk>"
                               "<disk type='file' device='disk'><source file='b.img'/>"
                               "<target dev='vda' bus='virtio'/></disk>"
                               "<disk type='block' device='floppy'><source dev='/dev/fd0'/>"
                               "<target dev='fdb'/></disk></devices></domain>"),
                     0);
    assert_int_equal(plan.disks, 3);
    assert_string_equal(plan.disk[1].bus, "floppy");
    assert_int_equal(plan.disk[1].boot, 1);
    assert_null(plan.disk[2].path);
    assert_int_equal(
        take_text("a.vbox", VBOX("><MediaRegistry><FloppyImages><Image uuid="
                                 "'{11111111-1111-1111-1111-111111111111}' location='a.img'/>"
                                 "</FloppyImages></MediaRegistry><Hardware><Memory RAMSize='64'/>"
                                 "<StorageControllers><StorageController type='I82078'>"
                                 "<AttachedDevice type='Floppy' port='0' device='0'><Image uuid="
                                 "'{11111111-1111-1111-1111-111111111111}'/></AttachedDevice>"
                                 "<AttachedDevice type='Floppy' port='0' device='1'/>"
                                 "</StorageController></StorageControllers></Hardware>")),
        0);
    assert_int_equal(plan.disks, 2);
    assert_string_equal(plan.disk[0].bus, "floppy");
    assert_true(ends(plan.disk[0].path, "/a.img"));
    assert_string_equal(plan.disk[1].bus, "floppy");
    assert_null(plan.disk[1].path);
}

static void floppies_of_ovf_and_hyperv_are_brought_along(void **state)
{
    unsigned gone = 0;

    (void)state;
    assert_int_equal(
        take_text("a.ovf",
                  "<Envelope><References><File href='a.flp' id='f'/><File href='a.vmdk' id='d'/>"
                  "</References><DiskSection><Disk diskId='1' fileRef='d'/></DiskSection>"
                  "<VirtualSystem><VirtualHardwareSection>"
                  "<Item><InstanceID>3</InstanceID><ResourceType>14</ResourceType>"
                  "<HostResource>ovf:/file/f</HostResource></Item>"
                  "<Item><ResourceType>14</ResourceType>"
                  "<HostResource>A:</HostResource></Item>"
                  "<Item><ResourceType>14</ResourceType></Item>"
                  "<Item><ResourceType>17</ResourceType><HostResource>ovf:/disk/1</HostResource>"
                  "</Item></VirtualHardwareSection>"
                  "<BootOrderSection instanceId='3' type='floppy'/></VirtualSystem></Envelope>"),
        0);
    assert_int_equal(plan.disks, 3);
    assert_true(ends(plan.disk[0].path, "/a.vmdk"));
    assert_string_equal(plan.disk[1].bus, "floppy");
    assert_true(ends(plan.disk[1].path, "/a.flp"));
    assert_int_equal(plan.disk[1].boot, 1);
    assert_string_equal(plan.disk[2].bus, "floppy");
    assert_null(plan.disk[2].path); /* the host's own */
    assert_int_equal(plan.disk[2].unit, 1);
    for (size_t i = 0; i < report.count; i++)
        gone += report.lines[i].to && strcmp(report.lines[i].to, "none") == 0;
    assert_int_equal(gone, 1);
    assert_int_equal(
        take_text("a.xml",
                  "<configuration><properties><name>a</name><subtype>0</subtype></properties>"
                  "<settings/><_83f8638b-8dca-4152-9eda-2ca8b33039b4_><controller0><drive0>"
                  "<type>VHD</type><pathname>a.vhd</pathname></drive0></controller0>"
                  "</_83f8638b-8dca-4152-9eda-2ca8b33039b4_>"
                  "<_8f0d2762-0b00-4e04-af4f-19010527cb93_><controller0><drive0><type>VFD</type>"
                  "<pathname>C:\\a.vfd</pathname></drive0></controller0>"
                  "</_8f0d2762-0b00-4e04-af4f-19010527cb93_>"
                  "<_ac6b8dc1-3257-4a70-b1b2-a9c9215659ad_><boot><device0>Floppy</device0>"
                  "<device1>HardDrive</device1></boot>"
                  "</_ac6b8dc1-3257-4a70-b1b2-a9c9215659ad_></configuration>"),
        0);
    assert_int_equal(plan.disks, 2);
    assert_int_equal(plan.disk[0].boot, 2);
    assert_string_equal(plan.disk[1].bus, "floppy");
    assert_true(ends(plan.disk[1].path, "/a.vfd"));
    assert_int_equal(plan.disk[1].boot, 1);
}

static void a_folder_with_several_descriptions_is_refused(void **state)
{
    (void)state;
    put_text("a.vmx", "displayname = \"a\"\n");
    put_text("b.vmx", "displayname = \"b\"\n");
    assert_int_equal(take("."), -EINVAL);
    assert_non_null(strstr(e.msg, "several descriptions"));
}

static void unescaped(const char *text, char mark, const char *want)
{
    char got[32];

    snprintf(got, sizeof(got), "%s", text);
    import_unescape(got, mark);
    assert_string_equal(got, want);
}

static void escaped_bytes_are_what_they_say(void **state)
{
    (void)state;
    unescaped("a%20b%C3%a9", '%', "a b\xc3\xa9");
    unescaped("|22a|7C|22", '|', "\"a|\"");
    unescaped("%7C|22", '|', "%7C\"");
    unescaped("100%", '%', "100%");
    unescaped("%2", '%', "%2");
    unescaped("%%41%zz%4g", '%', "%A%zz%4g");
    unescaped("a%00b", '%', "a%00b");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(escaped_bytes_are_what_they_say),
        T(an_ovf_of_vmware_is_read),
        T(references_are_uris),
        T(an_ovf_of_citrix_or_hyperv_says_so),
        T(of_several_machines_one_is_picked),
        T(of_several_configurations_the_default_or_one_is_taken),
        T(properties_reach_the_guest),
        T(an_ova_is_checked_and_used_in_place),
        T(an_ova_with_a_good_manifest_is_taken),
        T(a_broken_ova_is_refused),
        T(an_xva_is_read),
        T(a_libvirt_domain_is_read),
        T(a_virtualbox_machine_is_read),
        T(a_hyperv_xml_is_read),
        T(an_xl_file_is_read_and_never_executed),
        T(a_proxmox_file_is_read_without_its_snapshots),
        T(of_proxmox_older_words_and_cloud_init_are_known),
        T(drives_without_a_disc_are_brought_along),
        T(floppies_are_brought_along),
        T(floppies_of_ovf_and_hyperv_are_brought_along),
        T(a_folder_with_several_descriptions_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
