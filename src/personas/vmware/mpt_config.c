/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpt_config.c - configuration pages of the Fusion-MPT controllers.
 *
 * Each phy of the SAS1068 is a device of its own with one disk behind it. What a driver writes is
 * kept until power goes: bus parameters of the 53C1030's devices (which are then what was
 * negotiated), its port's settings, the SAS1068's I/O unit page 1, and the coalescing of replies
 * (which does not happen).
 */
#include <string.h>

#include "core/gmem.h"
#include "personas/vmware/mpt_priv.h"

enum {
    PAGE_MAX = 512,
    SYNC_OFFSET = 127,
    ENCLOSURE = 1,             /* its handle */
    ON_BUS_TIMER = 0x07000000, /* a driver takes none at all for a board without settings */
    MAX_ID = 255,              /* of what a manufacturer would program */
    SAS_NUM_PHYS = 16,         /* in SAS I/O unit page 1 */
    SAS_SATA_DEPTH = 17,       /* SATAMaxQDepth */
    CHANGEABLE = MPI_CONFIG_PAGEATTR_CHANGEABLE,
    PERSISTENT = MPI_CONFIG_PAGEATTR_PERSISTENT,
};

/* The bus that the 53C1030 offers: 80 MB/s, wide. */
#define BUS_PARAMETERS                                                                             \
    (MPI_SCSIPORTPAGE0_CAP_WIDE |                                                                  \
     (uint32_t)SYNC_OFFSET << MPI_SCSIPORTPAGE0_CAP_SHIFT_MAX_SYNC_OFFSET |                        \
     MPI_SCSIPORTPAGE0_SYNC_40 << MPI_SCSIPORTPAGE0_CAP_SHIFT_MIN_SYNC_PERIOD)

struct page {
    uint8_t type, ext, number, version; /* type with its attribute */
    uint16_t size;                      /* bytes */
    /* Fills what follows the header of a page that is all zero; false: no page at addr. */
    bool (*fill)(struct mpt *p, uint32_t addr, uint8_t *out);
    /* NULL: cannot be written. */
    bool (*store)(struct mpt *p, uint32_t addr, const uint8_t *in);
};

uint64_t mpt_sas_address(const struct mpt *p, unsigned target)
{
    /* NAA 5, VMware's identifier, then controller and place on it. */
    return UINT64_C(0x5000c29000000000) | (uint64_t)(p->number + 1) << 8 |
           (target < MPT_TARGETS ? target + 1 : 0);
}

void mpt_config_reset(struct mpt *p)
{
    for (unsigned i = 0; i < MPT_TARGETS; i++)
        p->s.requested[i] = le32_of(BUS_PARAMETERS);
    p->s.port_1.configuration = le32_of(MPT_OWN_TARGET | UINT32_C(1) << (16 + MPT_OWN_TARGET));
    p->s.port_1.on_bus_timer_value = le32_of(ON_BUS_TIMER);
    p->s.sas_io_unit_1[SAS_NUM_PHYS] = MPT_TARGETS;
    p->s.sas_io_unit_1[SAS_SATA_DEPTH] = 32;
}

/* --- of both --- */

static bool empty(struct mpt *p, uint32_t addr, uint8_t *out)
{
    (void)p;
    (void)addr;
    (void)out;
    return true;
}

static bool manufacturing_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_manufacturing_0 *m = (void *)out;
    bool sas = p->kind == MPT_SAS1068;

    (void)addr;
    memcpy(m->chip_name, sas ? "LSISAS1068" : "LSI53C1030", 10);
    memcpy(m->chip_revision, "B0", 2);
    memcpy(m->board_name, sas ? "VMware SAS" : "VMware SCSI", sas ? 10 : 11);
    return true;
}

static bool io_unit_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    (void)addr;
    le64_put(out + 4, mpt_sas_address(p, MPT_TARGETS));
    return true;
}

static bool ioc_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_ioc_0 *m = (void *)out;
    const uint8_t *c = p->pci.config;

    (void)addr;
    m->vendor_id = le16_of(le16_at(c + PCI_VENDOR_ID));
    m->device_id = le16_of(le16_at(c + PCI_DEVICE_ID));
    m->revision_id = c[PCI_CLASS_REVISION];
    m->class_code = le32_of(le32_at(c + PCI_CLASS_REVISION) >> 8);
    m->subsystem_vendor_id = le16_of(le16_at(c + PCI_SUBSYSTEM_VENDOR_ID));
    m->subsystem_id = le16_of(le16_at(c + PCI_SUBSYSTEM_ID));
    return true;
}

static bool ioc_1(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_ioc_1 *m = (void *)out;

    (void)addr;
    m->flags = le32_of(p->s.coalescing_flags);
    m->coalescing_timeout = le32_of(p->s.coalescing_timeout);
    m->coalescing_depth = p->s.coalescing_depth;
    m->pci_slot_num = MPI_IOCPAGE1_PCISLOTNUM_UNKNOWN;
    return true;
}

static bool ioc_1_store(struct mpt *p, uint32_t addr, const uint8_t *in)
{
    struct mpi_ioc_1 m;

    (void)addr;
    memcpy(&m, in, sizeof(m));
    p->s.coalescing_flags = le32_get(m.flags);
    p->s.coalescing_timeout = le32_get(m.coalescing_timeout);
    p->s.coalescing_depth = m.coalescing_depth;
    return true;
}

/* --- of the 53C1030 --- */

static bool scsi_port_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_scsi_port_0 *m = (void *)out;

    (void)p;
    (void)addr;
    m->capabilities = le32_of(BUS_PARAMETERS);
    m->physical_interface = le32_of(MPI_SCSIPORTPAGE0_PHY_SIGNAL_LVD);
    return true;
}

static bool scsi_port_1(struct mpt *p, uint32_t addr, uint8_t *out)
{
    (void)addr;
    memcpy(out, &p->s.port_1, sizeof(p->s.port_1));
    return true;
}

/* The controller's own target is where it is. */
static bool scsi_port_1_store(struct mpt *p, uint32_t addr, const uint8_t *in)
{
    struct mpi_scsi_port_1 m;

    (void)addr;
    memcpy(&m, in, sizeof(m));
    if ((le32_get(m.configuration) & 0xff) != MPT_OWN_TARGET)
        return false;
    p->s.port_1 = m;
    return true;
}

static bool scsi_port_2(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_scsi_port_2 *m = (void *)out;

    (void)p;
    (void)addr;
    m->port_settings = le32_of(MPT_OWN_TARGET);
    for (unsigned i = 0; i < MPT_TARGETS; i++) {
        m->device[i].sync_factor = MPI_SCSIPORTPAGE0_SYNC_40;
        m->device[i].device_flags = le16_of(MPI_SCSIPORTPAGE2_DEVICE_ENABLED);
    }
    return true;
}

/* The address of a device's page: its bus and its number. */
static bool device_at(uint32_t addr, size_t *target)
{
    return idx_in(addr & 0xffff, MPT_TARGETS, target);
}

static bool scsi_device_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    size_t i;

    if (!device_at(addr, &i))
        return false;
    memcpy(out + 4, &p->s.requested[i], 4);
    le32_put(out + 8, 1); /* parameters are negotiated */
    return true;
}

static bool scsi_device_1(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_scsi_device_1 *m = (void *)out;
    size_t i;

    if (!device_at(addr, &i))
        return false;
    m->requested_parameters = p->s.requested[i];
    m->configuration = p->s.configuration[i];
    return true;
}

static bool scsi_device_1_store(struct mpt *p, uint32_t addr, const uint8_t *in)
{
    struct mpi_scsi_device_1 m;
    size_t i;

    if (!device_at(addr, &i))
        return false;
    memcpy(&m, in, sizeof(m));
    p->s.requested[i] = m.requested_parameters;
    p->s.configuration[i] = m.configuration;
    return true;
}

static bool scsi_device_2(struct mpt *p, uint32_t addr, uint8_t *out)
{
    size_t i;

    (void)p;
    (void)out;
    return device_at(addr, &i);
}

/* --- of the SAS1068 --- */

static uint32_t disk_info(void)
{
    return MPI_SAS_DEVICE_INFO_END_DEVICE | MPI_SAS_DEVICE_INFO_SSP_TARGET |
           MPI_SAS_DEVICE_INFO_DIRECT_ATTACH;
}

static uint32_t phy_info(void)
{
    return MPI_SAS_DEVICE_INFO_END_DEVICE | MPI_SAS_DEVICE_INFO_INITIATOR;
}

static uint8_t link_rate(const struct mpt *p, unsigned phy)
{
    return mpt_present(p, phy) ? MPI_SAS_IOUNIT0_RATE_3_0 : MPI_SAS_IOUNIT0_RATE_UNKNOWN;
}

enum { IO_UNIT_0_HEAD = 16, IO_UNIT_1_HEAD = MPT_SAS_IO_UNIT_1_HEAD };
_Static_assert(IO_UNIT_0_HEAD + MPT_TARGETS * sizeof(struct mpi_sas_io_unit0_phy) <= PAGE_MAX, "");

static bool sas_io_unit_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_sas_io_unit0_phy *phy = (void *)(out + IO_UNIT_0_HEAD);

    (void)addr;
    out[12] = MPT_TARGETS; /* NumPhys */
    for (unsigned i = 0; i < MPT_TARGETS; i++) {
        phy[i].port = (uint8_t)i;
        phy[i].negotiated_link_rate = link_rate(p, i);
        phy[i].controller_phy_device_info = le32_of(phy_info());
        phy[i].attached_device_handle = le16_of(mpt_present(p, i) ? mpt_device_handle(i) : 0);
        phy[i].controller_dev_handle = le16_of(mpt_phy_handle(i));
    }
    return true;
}

static bool sas_io_unit_1(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_sas_io_unit1_phy *phy = (void *)(out + IO_UNIT_1_HEAD);

    (void)addr;
    memcpy(out, p->s.sas_io_unit_1, IO_UNIT_1_HEAD);
    for (unsigned i = 0; i < MPT_TARGETS; i++) {
        phy[i].port = (uint8_t)i;
        phy[i].max_min_link_rate = MPI_SAS_RATE_1_5_TO_3_0;
        phy[i].controller_phy_device_info = le32_of(phy_info());
    }
    return true;
}

/* Its flags, depth and delays; the phys stay as they are. */
static bool sas_io_unit_1_store(struct mpt *p, uint32_t addr, const uint8_t *in)
{
    (void)addr;
    if (in[SAS_NUM_PHYS] != MPT_TARGETS)
        return false;
    memcpy(p->s.sas_io_unit_1, in, IO_UNIT_1_HEAD);
    return true;
}

static bool sas_io_unit_2(struct mpt *p, uint32_t addr, uint8_t *out)
{
    (void)p;
    (void)addr;
    out[8] = MPT_TARGETS;            /* NumDevsPerEnclosure */
    le16_put(out + 12, MPT_TARGETS); /* MaxPersistentIDs */
    le16_put(out + 18, MPT_TARGETS); /* MaxNumPhysicalMappedIDs */
    return true;
}

static bool phy_at(uint32_t addr, size_t *phy)
{
    return addr >> MPI_SAS_PGAD_FORM_SHIFT <= 1 && idx_in(addr & 0xffff, MPT_TARGETS, phy);
}

static bool sas_phy_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_sas_phy_0 *m = (void *)out;
    size_t i;

    if (!phy_at(addr, &i))
        return false;
    m->owner_dev_handle = le16_of(mpt_phy_handle((unsigned)i));
    m->sas_address = le64_of(mpt_sas_address(p, MPT_TARGETS));
    m->programmed_link_rate = m->hw_link_rate = MPI_SAS_RATE_1_5_TO_3_0;
    m->change_count = (uint8_t)p->s.changes[i];
    m->phy_info = le32_of(link_rate(p, (unsigned)i));
    if (mpt_present(p, (unsigned)i)) {
        m->attached_dev_handle = le16_of(mpt_device_handle((unsigned)i));
        m->sas_address = le64_of(mpt_sas_address(p, (unsigned)i));
        m->attached_device_info = le32_of(disk_info());
    }
    return true;
}

static bool sas_phy_1(struct mpt *p, uint32_t addr, uint8_t *out)
{
    size_t i;

    (void)p;
    (void)out;
    return phy_at(addr, &i);
}

/* Handles 1 to 16 are phys, 17 to 32 what is behind them, as far as something is. */
static bool handle_exists(const struct mpt *p, uint32_t handle)
{
    if (handle == 0 || handle > 2 * MPT_TARGETS)
        return false;
    return handle <= MPT_TARGETS || mpt_present(p, handle - 1 - MPT_TARGETS);
}

/* The handle that a page's address means, 0: none. */
static uint32_t handle_of(const struct mpt *p, uint32_t addr)
{
    uint32_t handle = addr & 0xffff;

    switch (addr >> MPI_SAS_PGAD_FORM_SHIFT) {
    case MPI_SAS_DEVICE_PGAD_FORM_GET_NEXT_HANDLE:
        handle = handle == 0xffff ? 1 : handle + 1;
        while (handle <= 2 * MPT_TARGETS && !handle_exists(p, handle))
            handle++;
        break;
    case MPI_SAS_DEVICE_PGAD_FORM_BUS_TARGET_ID:
        handle = handle < MPT_TARGETS ? mpt_device_handle(handle) : 0;
        break;
    case MPI_SAS_DEVICE_PGAD_FORM_HANDLE:
        break;
    default:
        return 0;
    }
    return handle_exists(p, handle) ? handle : 0;
}

static bool sas_device_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_sas_device_0 *m = (void *)out;
    uint32_t handle = handle_of(p, addr);
    unsigned i = (handle - 1) % MPT_TARGETS;

    if (!handle)
        return false;
    m->slot = le16_of((uint16_t)i);
    m->enclosure_handle = le16_of(ENCLOSURE);
    m->phy_num = m->physical_port = (uint8_t)i;
    m->dev_handle = le16_of((uint16_t)handle);
    if (handle <= MPT_TARGETS) {
        m->sas_address = le64_of(mpt_sas_address(p, MPT_TARGETS));
        m->device_info = le32_of(phy_info());
        m->target_id = m->bus = MAX_ID;
    } else {
        m->sas_address = le64_of(mpt_sas_address(p, i));
        m->parent_dev_handle = le16_of(mpt_phy_handle(i));
        m->device_info = le32_of(disk_info());
        m->target_id = (uint8_t)i;
    }
    m->flags = le16_of(MPI_SAS_DEVICE0_FLAGS_DEVICE_PRESENT | MPI_SAS_DEVICE0_FLAGS_DEVICE_MAPPED);
    return true;
}

static bool sas_device_1(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_sas_device_1 *m = (void *)out;
    uint32_t handle = handle_of(p, addr);

    if (handle <= MPT_TARGETS)
        return false;
    m->sas_address = le64_of(mpt_sas_address(p, handle - 1 - MPT_TARGETS));
    m->dev_handle = le16_of((uint16_t)handle);
    m->target_id = (uint8_t)(handle - 1 - MPT_TARGETS);
    return true;
}

static bool sas_device_2(struct mpt *p, uint32_t addr, uint8_t *out)
{
    uint32_t handle = handle_of(p, addr);

    if (handle <= MPT_TARGETS)
        return false;
    le64_put(out + 8, mpt_sas_address(p, handle - 1 - MPT_TARGETS));
    return true;
}

static bool sas_enclosure_0(struct mpt *p, uint32_t addr, uint8_t *out)
{
    struct mpi_sas_enclosure_0 *m = (void *)out;
    uint32_t form = addr >> MPI_SAS_PGAD_FORM_SHIFT, handle = addr & 0xffff;

    if (!(form == MPI_SAS_ENCLOS_PGAD_FORM_GET_NEXT_HANDLE && handle == 0xffff) &&
        !(form == MPI_SAS_ENCLOS_PGAD_FORM_HANDLE && handle == ENCLOSURE))
        return false;
    m->enclosure_logical_id = le64_of(mpt_sas_address(p, MPT_TARGETS));
    m->enclosure_handle = le16_of(ENCLOSURE);
    m->num_slots = le16_of(MPT_TARGETS);
    return true;
}

/* --- the tables --- */

#define TYPE(t) MPI_CONFIG_PAGETYPE_##t
#define EXT(t) MPI_CONFIG_PAGETYPE_EXTENDED, MPI_CONFIG_EXTPAGETYPE_##t

static const struct page common[] = {
    {TYPE(MANUFACTURING) | PERSISTENT, 0, 0, 0, 0x4c, manufacturing_0, NULL},
    {TYPE(MANUFACTURING) | PERSISTENT, 0, 1, 0, 0x104 - 8, empty, NULL},
    {TYPE(IO_UNIT), 0, 0, 0, 0x0c, io_unit_0, NULL},
    {TYPE(IO_UNIT), 0, 1, 2, 0x08, empty, NULL},
    {TYPE(IO_UNIT), 0, 2, 2, 0x20, empty, NULL},
    {TYPE(IO_UNIT), 0, 3, 1, 0x0c, empty, NULL},
    {TYPE(IOC), 0, 0, 1, 0x1c, ioc_0, NULL},
    {TYPE(IOC) | CHANGEABLE, 0, 1, 3, 0x10, ioc_1, ioc_1_store},
    {TYPE(IOC), 0, 2, 4, 0x0c, empty, NULL}, /* no RAID volumes */
    {TYPE(IOC), 0, 3, 0, 0x08, empty, NULL}, /* no disks of such */
    {TYPE(IOC), 0, 4, 0, 0x08, empty, NULL}, /* no enclosure processors */
    {TYPE(IOC), 0, 5, 0, 0x0c, empty, NULL}, /* no hot spares */
    {TYPE(IOC), 0, 6, 1, 0x3c, empty, NULL},
};
static const struct page parallel[] = {
    {TYPE(SCSI_PORT), 0, 0, 2, 0x0c, scsi_port_0, NULL},
    {TYPE(SCSI_PORT) | CHANGEABLE, 0, 1, 3, 0x10, scsi_port_1, scsi_port_1_store},
    {TYPE(SCSI_PORT) | PERSISTENT, 0, 2, 2, 0x4c, scsi_port_2, NULL},
    {TYPE(SCSI_DEVICE), 0, 0, 4, 0x0c, scsi_device_0, NULL},
    {TYPE(SCSI_DEVICE) | CHANGEABLE, 0, 1, 5, 0x10, scsi_device_1, scsi_device_1_store},
    {TYPE(SCSI_DEVICE), 0, 2, 1, 0x10, scsi_device_2, NULL},
    {TYPE(SCSI_DEVICE), 0, 3, 0, 0x0c, scsi_device_2, NULL},
};
static const struct page serial[] = {
    {EXT(SAS_IO_UNIT), 0, 4, IO_UNIT_0_HEAD + MPT_TARGETS * 16, sas_io_unit_0, NULL},
    {TYPE(EXTENDED) | CHANGEABLE, MPI_CONFIG_EXTPAGETYPE_SAS_IO_UNIT, 1, 7,
     IO_UNIT_1_HEAD + MPT_TARGETS * 12, sas_io_unit_1, sas_io_unit_1_store},
    {EXT(SAS_IO_UNIT), 2, 6, 0x14, sas_io_unit_2, NULL},
    {EXT(SAS_IO_UNIT), 3, 0, 0x2c, empty, NULL},
    {EXT(SAS_PHY), 0, 1, 0x24, sas_phy_0, NULL},
    {EXT(SAS_PHY), 1, 0, 0x1c, sas_phy_1, NULL},
    {EXT(SAS_DEVICE), 0, 5, 0x24, sas_device_0, NULL},
    {EXT(SAS_DEVICE), 1, 0, 0x30, sas_device_1, NULL},
    {EXT(SAS_DEVICE), 2, 1, 0x14, sas_device_2, NULL},
    {EXT(ENCLOSURE), 0, 1, 0x28, sas_enclosure_0, NULL},
};

static bool same_type(const struct page *g, const struct mpi_config *m)
{
    unsigned type = m->header.page_type & MPI_CONFIG_PAGETYPE_MASK;

    return (g->type & MPI_CONFIG_PAGETYPE_MASK) == type &&
           (type != MPI_CONFIG_PAGETYPE_EXTENDED || g->ext == m->ext_page_type);
}

/* *status says why there is none. */
static const struct page *find(const struct mpt *p, const struct mpi_config *m, uint16_t *status)
{
    bool sas = p->kind == MPT_SAS1068;
    const struct page *own = sas ? serial : parallel;
    size_t n = sas ? ARRAY_SIZE(serial) : ARRAY_SIZE(parallel);

    *status = MPI_IOCSTATUS_CONFIG_INVALID_TYPE;
    for (size_t i = 0; i < ARRAY_SIZE(common) + n; i++) {
        const struct page *g = i < ARRAY_SIZE(common) ? &common[i] : &own[i - ARRAY_SIZE(common)];

        if (!same_type(g, m))
            continue;
        *status = MPI_IOCSTATUS_CONFIG_INVALID_PAGE;
        if (g->number == m->header.page_number)
            return g;
    }
    return NULL;
}

/* Both kinds of header begin alike; the longer one goes on behind the first word. */
static void put_header(const struct page *g, uint8_t *out)
{
    struct mpi_config_extended_page_header h = {.page_version = g->version,
                                                .reserved1 = g->ext ? 0 : (uint8_t)(g->size / 4),
                                                .page_number = g->number,
                                                .page_type = g->type,
                                                .ext_page_length = le16_of(g->size / 4),
                                                .ext_page_type = g->ext};

    memcpy(out, &h, g->ext ? sizeof(h) : sizeof(struct mpi_config_page_header));
}

/* The buffer that the request names: one simple element. */
static bool buffer_of(const uint8_t *req, gpa_t *at, uint32_t *n)
{
    const uint8_t *sge = req + sizeof(struct mpi_config);
    uint32_t word = le32_at(sge), flags = word >> MPI_SGE_FLAGS_SHIFT;

    if ((flags & MPI_SGE_FLAGS_ELEMENT_TYPE_MASK) != MPI_SGE_FLAGS_SIMPLE_ELEMENT)
        return false;
    *at = flags & MPI_SGE_FLAGS_64_BIT_ADDRESSING ? le64_at(sge + 4) : le32_at(sge + 4);
    *n = word & MPI_SGE_LENGTH_MASK;
    return true;
}

static uint16_t page_read(struct mpt *p, const struct page *g, const struct mpi_config *m,
                          const uint8_t *req)
{
    uint8_t page[PAGE_MAX] = {0};
    uint32_t n;
    gpa_t at;

    if (!g->fill(p, le32_get(m->page_address), page))
        return MPI_IOCSTATUS_CONFIG_INVALID_PAGE;
    put_header(g, page);
    if (!buffer_of(req, &at, &n))
        return MPI_IOCSTATUS_INVALID_SGL;
    if (gmem_write(p->pci.dev.env.mem, at, page, min_u64(n, g->size)) < 0)
        return MPI_IOCSTATUS_INVALID_SGL;
    return MPI_IOCSTATUS_SUCCESS;
}

static uint16_t page_write(struct mpt *p, const struct page *g, const struct mpi_config *m,
                           const uint8_t *req)
{
    uint8_t page[PAGE_MAX];
    uint32_t n;
    gpa_t at;

    if (!g->store)
        return MPI_IOCSTATUS_CONFIG_CANT_COMMIT;
    if (!buffer_of(req, &at, &n))
        return MPI_IOCSTATUS_INVALID_SGL;
    if (n < g->size)
        return MPI_IOCSTATUS_CONFIG_INVALID_DATA;
    if (gmem_read(p->pci.dev.env.mem, at, page, g->size) < 0)
        return MPI_IOCSTATUS_INVALID_SGL;
    return g->store(p, le32_get(m->page_address), page) ? MPI_IOCSTATUS_SUCCESS
                                                        : MPI_IOCSTATUS_CONFIG_INVALID_PAGE;
}

static uint16_t act(struct mpt *p, const struct page *g, const struct mpi_config *m,
                    const uint8_t *req)
{
    switch (m->action) {
    case MPI_CONFIG_ACTION_PAGE_HEADER:
    case MPI_CONFIG_ACTION_PAGE_DEFAULT:
        return MPI_IOCSTATUS_SUCCESS;
    case MPI_CONFIG_ACTION_PAGE_READ_CURRENT:
    case MPI_CONFIG_ACTION_PAGE_READ_DEFAULT:
    case MPI_CONFIG_ACTION_PAGE_READ_NVRAM:
        return page_read(p, g, m, req);
    case MPI_CONFIG_ACTION_PAGE_WRITE_CURRENT:
    case MPI_CONFIG_ACTION_PAGE_WRITE_NVRAM:
        return page_write(p, g, m, req);
    default:
        return MPI_IOCSTATUS_CONFIG_INVALID_ACTION;
    }
}

unsigned mpt_config(struct mpt *p, const uint8_t req[MPT_FRAME], uint8_t reply[MPT_REPLY_MAX])
{
    struct mpi_config_reply *r = (void *)reply;
    const struct page *g;
    struct mpi_config m;
    uint8_t header[8];
    uint16_t status;

    memcpy(&m, req, sizeof(m));
    g = find(p, &m, &status);
    if (g)
        status = act(p, g, &m, req);
    mpt_reply_init(r, sizeof(*r), req, status);
    r->header = m.header;
    if (g) {
        put_header(g, header);
        memcpy(&r->header, header, sizeof(r->header));
        r->ext_page_length = le16_of(g->ext ? g->size / 4 : 0);
        r->ext_page_type = g->ext;
    }
    return sizeof(*r);
}
