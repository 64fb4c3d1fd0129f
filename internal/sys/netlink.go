// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package sys

import (
	"golang.org/x/sys/unix"
)

// NetlinkSocket opens a netlink socket of protocol (NETLINK_ROUTE or
// NETLINK_NETFILTER) in the network namespace of the calling thread; it stays
// there when the thread leaves. See netlink(7).
//
// Requests with wrong filters are refused instead of silently dumping
// everything (NETLINK_GET_STRICT_CHK), errors carry the kernel's own sentence
// (NETLINK_EXT_ACK) and not the whole request again (NETLINK_CAP_ACK).
func NetlinkSocket(protocol int) (int, error) {
	return netlinkOptions(unix.Socket(unix.AF_NETLINK, netlinkType, protocol))
}

// NetlinkSocketIn is NetlinkSocket in the network namespace fd, for a thread that is
// in home.
func NetlinkSocketIn(fd, home, protocol int) (int, error) {
	return netlinkOptions(socketInNetns(fd, home, unix.AF_NETLINK, netlinkType, protocol))
}

const netlinkType = unix.SOCK_RAW | unix.SOCK_CLOEXEC

func netlinkOptions(fd int, err error) (int, error) {
	if err != nil {
		return -1, err
	}
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK, unix.NETLINK_GET_STRICT_CHK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// NetlinkSend gives data to the kernel as one datagram.
func NetlinkSend(fd int, data []byte) error {
	return netRetry(func() error { return unix.Sendto(fd, data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) })
}

// NetlinkReceive reads one datagram of the kernel into buffer and returns its
// length. Datagrams of other senders are dropped: any process may write to our
// socket. EMSGSIZE means that buffer was too small.
func NetlinkReceive(fd int, buffer []byte) (int, error) {
	for {
		var n, flags int
		var from unix.Sockaddr
		err := netRetry(func() (err error) {
			n, _, flags, from, err = unix.Recvmsg(fd, buffer, nil, 0)
			return err
		})
		if err != nil {
			return 0, err
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue
		}
		if flags&unix.MSG_TRUNC != 0 {
			return 0, unix.EMSGSIZE
		}
		return n, nil
	}
}

// NetlinkClose closes a socket. Where nf_tables transactions with deletions
// went through it, this waits for an RCU grace period, some 10 ms.
func NetlinkClose(fd int) error { return unix.Close(fd) }

// netRetry calls f again as long as a signal interrupts it.
func netRetry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
