// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package linux

import "golang.org/x/sys/unix"

// Netlink protocols, message flags and control messages, netlink(7).
const (
	NETLINK_ROUTE       = unix.NETLINK_ROUTE
	NETLINK_NETFILTER   = unix.NETLINK_NETFILTER
	NLM_F_REQUEST       = unix.NLM_F_REQUEST
	NLM_F_MULTI         = unix.NLM_F_MULTI
	NLM_F_ACK           = unix.NLM_F_ACK
	NLM_F_DUMP          = unix.NLM_F_DUMP
	NLM_F_REPLACE       = unix.NLM_F_REPLACE
	NLM_F_EXCL          = unix.NLM_F_EXCL
	NLM_F_CREATE        = unix.NLM_F_CREATE
	NLM_F_APPEND        = unix.NLM_F_APPEND
	NLMSG_NOOP          = unix.NLMSG_NOOP
	NLMSG_ERROR         = unix.NLMSG_ERROR
	NLMSG_DONE          = unix.NLMSG_DONE
	NLA_F_NESTED        = unix.NLA_F_NESTED
	NLA_F_NET_BYTEORDER = unix.NLA_F_NET_BYTEORDER
	NLM_F_CAPPED        = unix.NLM_F_CAPPED
	NLM_F_ACK_TLVS      = unix.NLM_F_ACK_TLVS
	NLM_F_DUMP_INTR     = unix.NLM_F_DUMP_INTR
	NLMSGERR_ATTR_MSG   = unix.NLMSGERR_ATTR_MSG
)

// rtnetlink(7) messages.
const (
	RTM_NEWLINK  = unix.RTM_NEWLINK
	RTM_DELLINK  = unix.RTM_DELLINK
	RTM_GETLINK  = unix.RTM_GETLINK
	RTM_SETLINK  = unix.RTM_SETLINK
	RTM_NEWADDR  = unix.RTM_NEWADDR
	RTM_DELADDR  = unix.RTM_DELADDR
	RTM_GETADDR  = unix.RTM_GETADDR
	RTM_NEWROUTE = unix.RTM_NEWROUTE
	RTM_DELROUTE = unix.RTM_DELROUTE
	RTM_GETROUTE = unix.RTM_GETROUTE
)

// Links, linux/if_link.h.
const (
	IFLA_ADDRESS           = unix.IFLA_ADDRESS
	IFLA_IFNAME            = unix.IFLA_IFNAME
	IFLA_MTU               = unix.IFLA_MTU
	IFLA_MASTER            = unix.IFLA_MASTER
	IFLA_LINKINFO          = unix.IFLA_LINKINFO
	IFLA_IFALIAS           = unix.IFLA_IFALIAS
	IFLA_NUM_RX_QUEUES     = unix.IFLA_NUM_RX_QUEUES
	IFLA_NUM_TX_QUEUES     = unix.IFLA_NUM_TX_QUEUES
	IFLA_NET_NS_FD         = unix.IFLA_NET_NS_FD
	IFLA_INFO_KIND         = unix.IFLA_INFO_KIND
	IFLA_INFO_DATA         = unix.IFLA_INFO_DATA
	IFLA_INFO_SLAVE_KIND   = unix.IFLA_INFO_SLAVE_KIND
	IFLA_INFO_SLAVE_DATA   = unix.IFLA_INFO_SLAVE_DATA
	IFLA_BRPORT_MODE       = unix.IFLA_BRPORT_MODE
	IFLA_BRPORT_ISOLATED   = unix.IFLA_BRPORT_ISOLATED
	IFLA_BR_VLAN_FILTERING = unix.IFLA_BR_VLAN_FILTERING
	IFLA_EXT_MASK          = unix.IFLA_EXT_MASK
	IFLA_LINK              = unix.IFLA_LINK
	IFLA_AF_SPEC           = unix.IFLA_AF_SPEC
	IFF_UP                 = unix.IFF_UP
	IFF_RUNNING            = unix.IFF_RUNNING
	IFF_PROMISC            = unix.IFF_PROMISC
)

// Addresses, linux/if_addr.h.
const (
	IFA_ADDRESS         = unix.IFA_ADDRESS
	IFA_LOCAL           = unix.IFA_LOCAL
	IFA_BROADCAST       = unix.IFA_BROADCAST
	IFA_FLAGS           = unix.IFA_FLAGS
	IFA_F_NODAD         = unix.IFA_F_NODAD
	IFA_F_TENTATIVE     = unix.IFA_F_TENTATIVE
	IFA_F_PERMANENT     = unix.IFA_F_PERMANENT
	IFA_F_NOPREFIXROUTE = unix.IFA_F_NOPREFIXROUTE
	IFA_RT_PRIORITY     = unix.IFA_RT_PRIORITY
	RT_SCOPE_UNIVERSE   = unix.RT_SCOPE_UNIVERSE
	RT_SCOPE_LINK       = unix.RT_SCOPE_LINK
	RT_SCOPE_HOST       = unix.RT_SCOPE_HOST
)

// Routes, linux/rtnetlink.h.
const (
	RTA_DST         = unix.RTA_DST
	RTA_GATEWAY     = unix.RTA_GATEWAY
	RTA_OIF         = unix.RTA_OIF
	RTA_METRICS     = unix.RTA_METRICS
	RTA_PRIORITY    = unix.RTA_PRIORITY
	RTA_TABLE       = unix.RTA_TABLE
	RTAX_MTU        = unix.RTAX_MTU
	RTAX_ADVMSS     = unix.RTAX_ADVMSS
	RTPROT_BOOT     = unix.RTPROT_BOOT
	RTN_UNICAST     = unix.RTN_UNICAST
	RT_TABLE_MAIN   = unix.RT_TABLE_MAIN
	RT_TABLE_UNSPEC = unix.RT_TABLE_UNSPEC
)

// Families.
const (
	AF_UNSPEC = unix.AF_UNSPEC
	AF_INET   = unix.AF_INET
	AF_INET6  = unix.AF_INET6
	AF_BRIDGE = unix.AF_BRIDGE
)

// nfnetlink and nf_tables, linux/netfilter/nf_tables.h.
const (
	NFNL_SUBSYS_NFTABLES        = unix.NFNL_SUBSYS_NFTABLES
	NFNL_MSG_BATCH_BEGIN        = unix.NFNL_MSG_BATCH_BEGIN
	NFNL_MSG_BATCH_END          = unix.NFNL_MSG_BATCH_END
	NFNL_BATCH_GENID            = unix.NFNL_BATCH_GENID
	NFT_MSG_GETGEN              = unix.NFT_MSG_GETGEN
	NFTA_GEN_ID                 = unix.NFTA_GEN_ID
	NFNETLINK_V0                = unix.NFNETLINK_V0
	NFPROTO_INET                = unix.NFPROTO_INET
	NFPROTO_IPV4                = unix.NFPROTO_IPV4
	NFPROTO_IPV6                = unix.NFPROTO_IPV6
	NFT_MSG_NEWTABLE            = unix.NFT_MSG_NEWTABLE
	NFT_MSG_DELTABLE            = unix.NFT_MSG_DELTABLE
	NFT_MSG_NEWCHAIN            = unix.NFT_MSG_NEWCHAIN
	NFT_MSG_NEWRULE             = unix.NFT_MSG_NEWRULE
	NFT_MSG_NEWSET              = unix.NFT_MSG_NEWSET
	NFT_MSG_NEWSETELEM          = unix.NFT_MSG_NEWSETELEM
	NFT_MSG_GETSETELEM          = unix.NFT_MSG_GETSETELEM
	NFT_MSG_DELSETELEM          = unix.NFT_MSG_DELSETELEM
	NFTA_TABLE_NAME             = unix.NFTA_TABLE_NAME
	NFTA_TABLE_FLAGS            = unix.NFTA_TABLE_FLAGS
	NFTA_CHAIN_TABLE            = unix.NFTA_CHAIN_TABLE
	NFTA_CHAIN_NAME             = unix.NFTA_CHAIN_NAME
	NFTA_CHAIN_HOOK             = unix.NFTA_CHAIN_HOOK
	NFTA_CHAIN_POLICY           = unix.NFTA_CHAIN_POLICY
	NFTA_CHAIN_TYPE             = unix.NFTA_CHAIN_TYPE
	NFTA_HOOK_HOOKNUM           = unix.NFTA_HOOK_HOOKNUM
	NFTA_HOOK_PRIORITY          = unix.NFTA_HOOK_PRIORITY
	NFTA_RULE_TABLE             = unix.NFTA_RULE_TABLE
	NFTA_RULE_CHAIN             = unix.NFTA_RULE_CHAIN
	NFTA_RULE_EXPRESSIONS       = unix.NFTA_RULE_EXPRESSIONS
	NFTA_LIST_ELEM              = unix.NFTA_LIST_ELEM
	NFTA_EXPR_NAME              = unix.NFTA_EXPR_NAME
	NFTA_EXPR_DATA              = unix.NFTA_EXPR_DATA
	NFTA_SET_TABLE              = unix.NFTA_SET_TABLE
	NFTA_SET_NAME               = unix.NFTA_SET_NAME
	NFTA_SET_FLAGS              = unix.NFTA_SET_FLAGS
	NFTA_SET_KEY_TYPE           = unix.NFTA_SET_KEY_TYPE
	NFTA_SET_KEY_LEN            = unix.NFTA_SET_KEY_LEN
	NFTA_SET_ID                 = unix.NFTA_SET_ID
	NFTA_SET_DESC               = unix.NFTA_SET_DESC
	NFTA_SET_USERDATA           = unix.NFTA_SET_USERDATA
	NFTA_SET_ELEM_KEY           = unix.NFTA_SET_ELEM_KEY
	NFTA_SET_ELEM_USERDATA      = unix.NFTA_SET_ELEM_USERDATA
	NFTA_SET_ELEM_LIST_TABLE    = unix.NFTA_SET_ELEM_LIST_TABLE
	NFTA_SET_ELEM_LIST_SET      = unix.NFTA_SET_ELEM_LIST_SET
	NFTA_SET_ELEM_LIST_ELEMENTS = unix.NFTA_SET_ELEM_LIST_ELEMENTS
	NFTA_SET_ELEM_LIST_SET_ID   = unix.NFTA_SET_ELEM_LIST_SET_ID
	NFTA_DATA_VALUE             = unix.NFTA_DATA_VALUE
	NFTA_DATA_VERDICT           = unix.NFTA_DATA_VERDICT
	NFTA_VERDICT_CODE           = unix.NFTA_VERDICT_CODE
	NFTA_META_DREG              = unix.NFTA_META_DREG
	NFTA_META_KEY               = unix.NFTA_META_KEY
	NFTA_PAYLOAD_DREG           = unix.NFTA_PAYLOAD_DREG
	NFTA_PAYLOAD_BASE           = unix.NFTA_PAYLOAD_BASE
	NFTA_PAYLOAD_OFFSET         = unix.NFTA_PAYLOAD_OFFSET
	NFTA_PAYLOAD_LEN            = unix.NFTA_PAYLOAD_LEN
	NFTA_CMP_SREG               = unix.NFTA_CMP_SREG
	NFTA_CMP_OP                 = unix.NFTA_CMP_OP
	NFTA_CMP_DATA               = unix.NFTA_CMP_DATA
	NFTA_BITWISE_SREG           = unix.NFTA_BITWISE_SREG
	NFTA_BITWISE_DREG           = unix.NFTA_BITWISE_DREG
	NFTA_BITWISE_LEN            = unix.NFTA_BITWISE_LEN
	NFTA_BITWISE_MASK           = unix.NFTA_BITWISE_MASK
	NFTA_BITWISE_XOR            = unix.NFTA_BITWISE_XOR
	NFTA_LOOKUP_SET             = unix.NFTA_LOOKUP_SET
	NFTA_LOOKUP_SET_ID          = unix.NFTA_LOOKUP_SET_ID
	NFTA_LOOKUP_SREG            = unix.NFTA_LOOKUP_SREG
	NFTA_IMMEDIATE_DREG         = unix.NFTA_IMMEDIATE_DREG
	NFTA_IMMEDIATE_DATA         = unix.NFTA_IMMEDIATE_DATA
	NFT_META_OIFNAME            = unix.NFT_META_OIFNAME
	NFT_META_NFPROTO            = unix.NFT_META_NFPROTO
	NFT_PAYLOAD_NETWORK_HEADER  = unix.NFT_PAYLOAD_NETWORK_HEADER
	NFT_CMP_EQ                  = unix.NFT_CMP_EQ
	NFT_CMP_NEQ                 = unix.NFT_CMP_NEQ
	NFT_REG_VERDICT             = unix.NFT_REG_VERDICT
	NFT_REG_1                   = unix.NFT_REG_1
	NFT_REG32_00                = unix.NFT_REG32_00
	NFT_REG32_01                = unix.NFT_REG32_01
	NFT_REG32_04                = unix.NFT_REG32_04
	NFT_RETURN                  = unix.NFT_RETURN
	NF_INET_POST_ROUTING        = unix.NF_INET_POST_ROUTING
	IFNAMSIZ                    = unix.IFNAMSIZ
)

// What golang.org/x/sys/unix does not have.
const (
	// VETH_INFO_PEER is the attribute of IFLA_INFO_DATA with the other end, linux/veth.h.
	VETH_INFO_PEER = 1
	// RTEXT_FILTER_SKIP_STATS leaves counters out of RTM_NEWLINK, linux/rtnetlink.h.
	RTEXT_FILTER_SKIP_STATS = 1 << 3
	// NF_IP_PRI_NAT_SRC is the priority of source NAT, linux/netfilter_ipv4.h.
	NF_IP_PRI_NAT_SRC = 100
	// NFTNL_UDATA_COMMENT is the type of a comment in the userdata of tables (0),
	// sets and elements, as libnftnl writes it and nft(8) prints it.
	NFTNL_UDATA_COMMENT = 0
	// NFT_USERDATA_MAXLEN is the most that the kernel keeps of a userdata.
	NFT_USERDATA_MAXLEN = 256
)
