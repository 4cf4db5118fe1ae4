# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# Are the persona's devices bound by the drivers that they are for, and at what protocol?
#: name: devices
#: version: 1
#: owner: hospes

#: check: devices.disk
#: purpose: the disk is driven by the persona's own driver
#: pass: the driver of the first disk is the persona's
#: source: Linux drivers/block, drivers/scsi
#: by: guest
#: mandatory: yes
#: needs: disk
check_devices_disk()
{
    d=$(disk)
    [ -n "$d" ] || failure "there is no disk"
    driver=$(driver_of "/sys/block/$d")
    case $(persona) in
    kvm) one_of driver "$driver" virtio_blk virtio_scsi ;;
    hyperv) # a SCSI disk: sd above, the adapter is the channel's
        set -- /sys/bus/vmbus/drivers/hv_storvsc/*-*
        [ -e "$1" ] || failure "hv_storvsc has no device"
        ;;
    xen) one_of driver "$driver" vbd ;;
    vmware) [ -e /sys/bus/pci/drivers/vmw_pvscsi ] || failure "vmw_pvscsi is not there" ;;
    bare) one_of driver "$driver" 'ata*' ahci sd ;;
    esac
    success
}

#: check: devices.card
#: purpose: the network card is driven by the persona's own driver
#: pass: the driver of the first card is the persona's
#: source: Linux drivers/net
#: by: guest
#: mandatory: yes
#: needs: nic
check_devices_card()
{
    n=$(card)
    [ -n "$n" ] || failure "there is no network card"
    driver=$(driver_of "/sys/class/net/$n/device")
    case $(persona) in
    kvm) want driver "$driver" virtio_net ;;
    hyperv) want driver "$driver" hv_netvsc ;;
    xen) one_of driver "$driver" vif xen_netfront ;;
    vmware) want driver "$driver" vmxnet3 ;;
    bare) one_of driver "$driver" e1000 8139cp 8139too tulip ;;
    esac
    success
}
