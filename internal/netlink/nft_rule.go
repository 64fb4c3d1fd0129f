// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package netlink

import "github.com/coracle-oci/coracle/internal/sys/linux"

// An Expr is one expression of a rule: it loads something into a register,
// compares, or decides. nft --debug=netlink prints a rule in the same terms.
type Expr struct {
	Name string
	data func(*writer)
}

// NewRule appends a rule to a chain. Text says in nft's own words what it does.
func (t Table) NewRule(chain, text string, exprs ...Expr) Message {
	w := nftHeader(linux.NFPROTO_INET)
	w.text(linux.NFTA_RULE_TABLE, string(t))
	w.text(linux.NFTA_RULE_CHAIN, chain)
	w.nested(linux.NFTA_RULE_EXPRESSIONS, func() {
		for _, e := range exprs {
			w.nested(linux.NFTA_LIST_ELEM, func() {
				w.text(linux.NFTA_EXPR_NAME, e.Name)
				if e.data != nil {
					w.nested(linux.NFTA_EXPR_DATA, func() { e.data(w) })
				}
			})
		}
	})
	return w.nft(linux.NFT_MSG_NEWRULE, linux.NLM_F_CREATE|linux.NLM_F_APPEND, "add to chain "+chain+": "+text)
}

// Reg is a register of four bytes; wider values fill the ones behind it too.
type Reg uint32

// The registers 0 to 15 of four bytes.
const Reg0 Reg = linux.NFT_REG32_00

// LoadNfproto loads the packet's family (one byte).
func LoadNfproto(dst Reg) Expr { return meta(linux.NFT_META_NFPROTO, dst) }

// LoadOifname loads the name of the interface that the packet leaves by (16 bytes).
func LoadOifname(dst Reg) Expr { return meta(linux.NFT_META_OIFNAME, dst) }

// LoadNetwork loads length bytes of the IP header from offset.
func LoadNetwork(dst Reg, offset, length uint32) Expr {
	return Expr{"payload", func(w *writer) {
		w.be32(linux.NFTA_PAYLOAD_DREG, uint32(dst))
		w.be32(linux.NFTA_PAYLOAD_BASE, linux.NFT_PAYLOAD_NETWORK_HEADER)
		w.be32(linux.NFTA_PAYLOAD_OFFSET, offset)
		w.be32(linux.NFTA_PAYLOAD_LEN, length)
	}}
}

// Mask keeps the bits of mask of a register.
func Mask(reg Reg, mask []byte) Expr {
	return Expr{"bitwise", func(w *writer) {
		w.be32(linux.NFTA_BITWISE_SREG, uint32(reg))
		w.be32(linux.NFTA_BITWISE_DREG, uint32(reg))
		w.be32(linux.NFTA_BITWISE_LEN, uint32(len(mask)))
		w.nested(linux.NFTA_BITWISE_MASK, func() { w.bytes(linux.NFTA_DATA_VALUE, mask) })
		w.nested(linux.NFTA_BITWISE_XOR, func() { w.bytes(linux.NFTA_DATA_VALUE, make([]byte, len(mask))) })
	}}
}

// Equal ends the rule unless the register holds value, Unequal if it does.
func Equal(reg Reg, value []byte) Expr { return compare(reg, linux.NFT_CMP_EQ, value) }

// Unequal ends the rule if the register holds value.
func Unequal(reg Reg, value []byte) Expr { return compare(reg, linux.NFT_CMP_NEQ, value) }

// In ends the rule unless the set has what lies in the registers from reg on.
func In(reg Reg, s Set) Expr {
	return Expr{"lookup", func(w *writer) {
		w.text(linux.NFTA_LOOKUP_SET, s.Name)
		w.be32(linux.NFTA_LOOKUP_SET_ID, s.ID)
		w.be32(linux.NFTA_LOOKUP_SREG, uint32(reg))
	}}
}

// Return leaves the chain.
func Return() Expr {
	return Expr{"immediate", func(w *writer) {
		w.be32(linux.NFTA_IMMEDIATE_DREG, linux.NFT_REG_VERDICT)
		w.nested(linux.NFTA_IMMEDIATE_DATA, func() {
			w.nested(linux.NFTA_DATA_VERDICT, func() {
				code := int32(linux.NFT_RETURN)
				w.be32(linux.NFTA_VERDICT_CODE, uint32(code))
			})
		})
	}}
}

// Masquerade gives the packet the address of the interface that it leaves by.
func Masquerade() Expr { return Expr{"masq", nil} }

func meta(key uint32, dst Reg) Expr {
	return Expr{"meta", func(w *writer) {
		w.be32(linux.NFTA_META_KEY, key)
		w.be32(linux.NFTA_META_DREG, uint32(dst))
	}}
}

func compare(reg Reg, op uint32, value []byte) Expr {
	return Expr{"cmp", func(w *writer) {
		w.be32(linux.NFTA_CMP_SREG, uint32(reg))
		w.be32(linux.NFTA_CMP_OP, op)
		w.nested(linux.NFTA_CMP_DATA, func() { w.bytes(linux.NFTA_DATA_VALUE, value) })
	}}
}
