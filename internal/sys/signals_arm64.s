// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

#include "textflag.h"

// caught is the signal handler: R0 is the signal's number. It runs on the
// alternate stack, and whatever registers it changes are restored when it
// returns. It must not call Go.
TEXT ·caught(SB), NOSPLIT|NOFRAME, $0-0
	SUB  $16, RSP
	MOVB R0, (RSP)
	MOVW ·caughtFD(SB), R0
	MOVD RSP, R1
	MOVD $1, R2
	MOVD $64, R8 // write
	SVC
	ADD  $16, RSP
	RET

// restore is what a handler returns to: rt_sigreturn(2).
TEXT ·restore(SB), NOSPLIT|NOFRAME, $0-0
	MOVD $139, R8
	SVC
	BRK

// func handler() uintptr
TEXT ·handler(SB), NOSPLIT, $0-8
	MOVD $·caught(SB), R0
	MOVD R0, ret+0(FP)
	RET

// func restorer() uintptr
TEXT ·restorer(SB), NOSPLIT, $0-8
	MOVD $·restore(SB), R0
	MOVD R0, ret+0(FP)
	RET
