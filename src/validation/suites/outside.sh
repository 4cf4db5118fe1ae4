# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# What a guest has done, seen from outside alone: nothing is installed in it, so a closed system can be
# validated from its own image. A rule is `LIST[:MODEL] | KEY | VALUE`, patterns as in a shell, over what
# `hospes info --json` shows; it holds when one part has a key and a value that match.
#: name: outside
#: version: 1
#: owner: hospes

#: check: outside.hyperv_identity
#: purpose: the guest has told the hypervisor what it is
#: pass: HV_X64_MSR_GUEST_OS_ID is not zero
#: source: Hyper-V TLFS, 2.6
#: by: outside guest | guest os id | 0x[1-9a-f]*
#: personas: hyperv
#: mandatory: yes

#: check: outside.hyperv_bus
#: purpose: the guest has made contact on VMBus
#: pass: a protocol version is agreed on
#: source: Linux include/linux/hyperv.h
#: by: outside guest | vmbus | version *
#: personas: hyperv
#: mandatory: yes

#: check: outside.hyperv_disk
#: purpose: the guest's storvsc has agreed on a protocol
#: pass: a storvsc channel shows its protocol
#: source: Linux drivers/scsi/storvsc_drv.c
#: by: outside guest | * | storvsc protocol [1-9]*
#: personas: hyperv
#: mandatory: yes
#: needs: disk

#: check: outside.hyperv_card
#: purpose: the guest's netvsc has agreed on a protocol
#: pass: a netvsc channel shows its protocol
#: source: Linux drivers/net/hyperv/hyperv_net.h
#: by: outside guest | * | netvsc protocol [1-9]*
#: personas: hyperv
#: mandatory: yes
#: needs: nic

#: check: outside.xen_hypercalls
#: purpose: the guest makes hypercalls
#: pass: their count is not zero
#: source: Xen public headers
#: by: outside guest | hypercalls | [1-9]*
#: personas: xen
#: mandatory: yes

#: check: outside.xen_disk
#: purpose: the guest's block front end is connected
#: pass: a vbd is in state 4
#: source: Xen public/io/xenbus.h
#: by: outside guest | vbd * state | 4
#: personas: xen
#: mandatory: yes
#: needs: disk

#: check: outside.xen_card
#: purpose: the guest's network front end is connected
#: pass: a vif is in state 4
#: source: Xen public/io/xenbus.h
#: by: outside guest | vif * state | 4
#: personas: xen
#: mandatory: yes
#: needs: nic

#: check: outside.vmware_backdoor
#: purpose: the guest calls the backdoor
#: pass: the count of calls is not zero
#: source: open-vm-tools, lib/include/backdoor_def.h
#: by: outside guest | backdoor calls | [1-9]*
#: personas: vmware
#: mandatory: yes

#: check: outside.vmware_disk
#: purpose: the guest has started pvscsi's rings
#: pass: the driver is bound
#: source: Linux drivers/scsi/vmw_pvscsi.h
#: by: outside devices:pvscsi | driver | bound
#: personas: vmware
#: mandatory: yes
#: needs: disk

#: check: outside.vmware_card
#: purpose: the guest has started vmxnet3's queues
#: pass: the driver has send and receive queues
#: source: Linux drivers/net/vmxnet3/vmxnet3_defs.h
#: by: outside devices:vmxnet3 | driver | *[1-9]* receive queue*
#: personas: vmware
#: mandatory: yes
#: needs: nic

#: check: outside.kvm_disk
#: purpose: the guest's virtio-blk driver has agreed on features
#: pass: the driver has set DRIVER_OK
#: source: virtio 1.2, 3.1.1
#: by: outside devices:virtio-blk* | driver | *features*
#: personas: kvm
#: mandatory: yes
#: needs: disk

#: check: outside.kvm_card
#: purpose: the guest's virtio-net driver has agreed on features
#: pass: the driver has set DRIVER_OK
#: source: virtio 1.2, 3.1.1
#: by: outside devices:virtio-net* | driver | *features*
#: personas: kvm
#: mandatory: yes
#: needs: nic

#: check: outside.faults
#: purpose: the guest's drivers keep to their devices' rules
#: pass: no device counts a guest fault
#: source: docs/devel/errors.md, the class of guest mistakes
#: by: outside ! devices | guest faults | *
#: mandatory: no
