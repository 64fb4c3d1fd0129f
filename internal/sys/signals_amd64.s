// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

#include "textflag.h"

// caught is the signal handler: DI is the signal's number. It runs on the
// alternate stack, and whatever registers it changes are restored when it
// returns. It must not call Go.
TEXT ·caught(SB), NOSPLIT|NOFRAME, $0-0
	SUBQ $16, SP
	MOVB DI, (SP)
	MOVL ·caughtFD(SB), DI
	MOVQ SP, SI
	MOVL $1, DX
	MOVL $1, AX // write
	SYSCALL
	ADDQ $16, SP
	RET // to restore

// restore is what a handler returns to: rt_sigreturn(2).
TEXT ·restore(SB), NOSPLIT|NOFRAME, $0-0
	MOVL $15, AX
	SYSCALL
	INT  $3

// func handler() uintptr
TEXT ·handler(SB), NOSPLIT, $0-8
	LEAQ ·caught(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func restorer() uintptr
TEXT ·restorer(SB), NOSPLIT, $0-8
	LEAQ ·restore(SB), AX
	MOVQ AX, ret+0(FP)
	RET
