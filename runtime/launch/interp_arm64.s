// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

#include "textflag.h"
#include "layout.h"

// interp runs the steps behind a header; see interp_amd64.s.
//
//	R20 the header; 0: HEADER
//	R19 the current step
//	R0  first argument, then result of its call
TEXT ·interp(SB), NOSPLIT|NOFRAME, $0-0
	CBNZ R20, begin
	MOVD $HEADER, R20
begin:
	ADD  $(STEPS-HEADER), R20, R19
step:
	MOVD step_arg0(R19), R0
	MOVD step_arg1(R19), R1
	MOVD step_arg2(R19), R2
	MOVD step_arg3(R19), R3
	MOVD step_arg4(R19), R4
	MOVD step_arg5(R19), R5
	MOVWU step_registers(R19), R9 // bit n: argument n is the address of a register
	TBZ  $0, R9, arg1
	MOVD (R0), R0
arg1:
	TBZ  $1, R9, arg2
	MOVD (R1), R1
arg2:
	TBZ  $2, R9, arg3
	MOVD (R2), R2
arg3:
	TBZ  $3, R9, arg4
	MOVD (R3), R3
arg4:
	TBZ  $4, R9, arg5
	MOVD (R4), R4
arg5:
	TBZ  $5, R9, call
	MOVD (R5), R5
call:
	MOVD step_number(R19), R8
	SVC  $0
	MOVWU step_result(R19), R9    // where the result is kept; 0: nowhere
	CBZ  R9, branch
	MOVD R0, (R9)
branch:
	MOVD step_target(R19), R9     // where to continue; 0: no branch
	CBZ  R9, next
	MOVD step_expected(R19), R10
	CMP  R10, R0
	BNE  next
	MOVD R9, R19
	B    step
next:
	TBNZ $63, R0, failed
	ADD  $STEP_SIZE, R19
	B    step
failed:
	MOVD R20, R1                  // {address of the step, errno} to the report
	MOVW R19, header_step(R1)
	NEG  R0, R0
	MOVW R0, header_errno(R1)
	MOVWU header_report(R1), R0
	MOVD $8, R2
	MOVD $MSG_NOSIGNAL, R3
	MOVD $0, R4
	MOVD $0, R5
	MOVD $206, R8                 // sendto
	SVC  $0
	MOVD $1, R0
	MOVWU header_exit(R20), R8
	SVC  $0
	BRK

// interpEnd marks the end of interp.
TEXT ·interpEnd(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func bounds() (start, end uintptr)
TEXT ·bounds(SB), NOSPLIT, $0-16
	MOVD $·interp(SB), R0
	MOVD R0, start+0(FP)
	MOVD $·interpEnd(SB), R0
	MOVD R0, end+8(FP)
	RET

// func startThread(flags, header uintptr, ended *uint32) (tid int)
TEXT ·startThread(SB), NOSPLIT, $0-32
	MOVD flags+0(FP), R0
	MOVD header+8(FP), R20
	MOVD $0, R1
	MOVD $0, R2
	MOVD $0, R3
	MOVD ended+16(FP), R4         // child_tid
	MOVD $220, R8                 // clone
	SVC  $0
	CBNZ R0, creator
	B    ·interp(SB)
creator:
	MOVD R0, tid+24(FP)
	RET
