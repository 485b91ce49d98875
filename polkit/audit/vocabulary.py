"""Names that occur in records, known beforehand.

No filter: what is read is checked by its form, and against the target policy later. These names decide between two
readings of a record that was wrapped over lines (``{ read wri`` + ``te }``), show that a class at the very end of a
text was cut off, and turn the ioctl names of interpreted records back into numbers.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PERMISSIONS = _words(
    """
    accept access acquire_svc add add_child add_color add_glyph add_name admin allowed append associate association
    attach_queue audit_access audit_control audit_read audit_write backing_clone bell bind blend block_suspend bpf
    call check_context checkpoint_restore chfn chown chsh cmd compute_av compute_create compute_member
    compute_relabel compute_user confidentiality connect connectto contains copy cpu create create_files_as crontab
    dac_override dac_read_search debug delete destroy disable drop dyntransition egress enable enqueue entrypoint
    execheap execmem execmod execstack execute execute_no_trans expand export firmware_load force_cursor fork
    forward_in forward_out fowner freeze fsetid get_param get_property get_value getattr getcap getfocus getgrp
    gethost getopt getpgid getpwd getrlimit getsched getserv getsession getstat grab halt hide hide_cursor
    impersonate implement import ingress insert install install_module integrity ioctl ipc_info ipc_lock ipc_owner
    kernel kexec_image kexec_initramfs kill lease link linux_immutable list_child list_property listen load_module
    load_policy lock mac_admin mac_override manage manage_subnet map map_create map_read map_write mknod mmap_zero
    module_load module_request mount mounton name_bind name_connect net_admin net_bind_service net_broadcast net_raw
    next_value nlmsg nlmsg_read nlmsg_readpriv nlmsg_relay nlmsg_tty_audit nlmsg_write nnp_transition noatsecure
    node_bind nosuid_transition open override override_creds passwd paste paste_after_confirm perfmon policy_load
    polmatch prog_load prog_run ptrace query quotaget quotamod quotaon read read_policy reboot receive record recv
    recvfrom relabelfrom relabelto reload remount remove remove_child remove_color remove_glyph remove_name rename
    reparent rlimitinh rmdir rootok saver_getattr saver_hide saver_setattr saver_show search select send send_msg
    sendto set_context_mgr set_param set_property set_value setattr setbool setcap setcheckreqprot setcontext
    setcurrent setenforce setexec setfcap setfocus setfscreate setgid setkeycreate setopt setpcap setpgid setrlimit
    setsched setsecparam setsockcreate setuid share shmemgrp shmemhost shmempwd shmemserv show show_cursor shutdown
    sigchld siginh sigkill signal signull sigstop sqpoll start status stop sys_admin sys_boot sys_chroot sys_module
    sys_nice sys_pacct sys_ptrace sys_rawio sys_resource sys_time sys_tty_config syslog syslog_console syslog_mod
    syslog_read tracepoint transfer transition uninstall unix_read unix_write unlink unmount unused_perm update use
    use_as_override validate_trans view wake_alarm watch watch_mount watch_reads watch_sb
    watch_with_perm write x509_certificate
    """
)
"""Source: the classes of the reference policy (policy/flask/access_vectors) and of recent kernels
(security/selinux/include/classmap.h)."""

CLASSES = _words(
    """
    alg_socket anon_inode appletalk_socket association atmpvc_socket atmsvc_socket ax25_socket binder blk_file
    bluetooth_socket bpf caif_socket can_socket cap2_userns cap_userns capability capability2 chr_file context
    db_blob db_column db_database db_datatype db_exception db_language db_procedure db_schema db_sequence db_table
    db_tuple db_view dbus dccp_socket decnet_socket dir fd fifo_file file filesystem icmp_socket ieee802154_socket
    infiniband_endport infiniband_pkey io_uring ipc ipx_socket irda_socket isdn_socket iucv_socket kcm_socket
    kernel_service key key_socket llc_socket lnk_file lockdown mctp_socket memfd_file memprotect msg msgq netif
    netlink_audit_socket netlink_connector_socket netlink_crypto_socket netlink_dnrt_socket
    netlink_fib_lookup_socket netlink_generic_socket netlink_iscsi_socket netlink_kobject_uevent_socket
    netlink_netfilter_socket netlink_nflog_socket netlink_rdma_socket netlink_route_socket
    netlink_scsitransport_socket netlink_selinux_socket netlink_socket netlink_tcpdiag_socket netlink_xfrm_socket
    netrom_socket nfc_socket node nscd obsolete_netlink_firewall_socket obsolete_netlink_ip6fw_socket packet
    packet_socket passwd peer perf_event phonet_socket pppox_socket process process2 qipcrtr_socket rawip_socket
    rds_socket rose_socket rxrpc_socket sctp_socket security sem service shm smc_socket sock_file socket system
    tcp_socket tipc_socket tun_socket udp_socket unix_dgram_socket unix_stream_socket user_namespace vsock_socket
    x25_socket x_application_data x_client x_colormap x_cursor x_device x_drawable x_event x_extension x_font x_gc
    x_keyboard x_pointer x_property x_resource x_screen x_selection x_server x_synthetic_event xdp_socket
    """
)
"""Source: as for PERMISSIONS."""

FIELDS = _words(
    """
    addr anonclass auid capability cmdline comm daddr denied dest dev exe faddr fport function gid hostname ibport
    ino interface invalid_context ioctlcmd ipc_key key kmod laddr lockdown_reason lport member msg msgtype name
    netif newcontext nl-msgtype oldcontext op path permissive pid requested result saddr sauid scontext seresult ses
    spid srawcon src subj subnet_prefix taskcontext tclass tcontext terminal tpid trawcon uid
    """
)
"""Field names of AVC, USER_AVC and SELINUX_ERR records. Source: Linux security/lsm_audit.c and
security/selinux/avc.c, dbus, systemd."""

IOCTLS = {
    name: int(number, 16)
    for name, number in (
        entry.split("=")
        for entry in _words("""
        KDSETMODE=4b3a KDGETMODE=4b3b CDROMEJECT=5309 CDROMEJECT_SW=530f CDROM_GET_UPC=5311 CDROMSEEK=5316 TCGETS=5401
        TCSETS=5402 TCSETSW=5403 TCSETSF=5404 TCSBRK=5409 TCFLSH=540b TIOCSCTTY=540e TIOCGPGRP=540f TIOCSPGRP=5410
        TIOCGWINSZ=5413 TIOCSWINSZ=5414 TIOCINQ=541b FIONREAD=541b FIONBIO=5421 TIOCGPTN=5430 TIOCSPTLCK=5431
        FIONCLEX=5450 FIOCLEX=5451 FIOSETOWN=8901 FIOGETOWN=8903 SIOCGIFNAME=8910 SIOCGIFHWADDR=8927
        SIOCGIFINDEX=8933 SIOCBRADDIF=89a2 DRM_IOCTL_MODE_CURSOR=64a3 DRM_IOCTL_MODE_PAGE_FLIP=64b0
        DRM_IOCTL_MODE_DIRTYFB=64b1
        """)
    )
}
"""Low 16 bits of the commands that auparse names (audit-userspace, auparse/ioctlreqtab.h), and close relatives."""
