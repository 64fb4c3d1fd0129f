// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

#include "textflag.h"
#include "layout.h"

// interp runs the steps from STEPS on. It is copied out of this binary into the
// ELF image that package launch writes; it must not touch the stack, which
// belongs to nobody, and refer to nothing outside itself.
//
//	BX  the current step
//	AX  number, then result of its call
TEXT ·interp(SB), NOSPLIT|NOFRAME, $0-0
	MOVL $STEPS, BX
step:
	MOVQ step_arg0(BX), DI
	MOVQ step_arg1(BX), SI
	MOVQ step_arg2(BX), DX
	MOVQ step_arg3(BX), R10
	MOVQ step_arg4(BX), R8
	MOVQ step_arg5(BX), R9
	MOVL step_registers(BX), AX // bit n: argument n is the address of a register
	TESTL $1, AX
	JZ   arg1
	MOVQ (DI), DI
arg1:
	TESTL $2, AX
	JZ   arg2
	MOVQ (SI), SI
arg2:
	TESTL $4, AX
	JZ   arg3
	MOVQ (DX), DX
arg3:
	TESTL $8, AX
	JZ   arg4
	MOVQ (R10), R10
arg4:
	TESTL $16, AX
	JZ   arg5
	MOVQ (R8), R8
arg5:
	TESTL $32, AX
	JZ   call
	MOVQ (R9), R9
call:
	MOVQ step_number(BX), AX
	SYSCALL                     // clobbers CX and R11
	MOVL step_result(BX), CX    // where the result is kept; 0: nowhere
	TESTL CX, CX
	JZ   branch
	MOVQ AX, (CX)
branch:
	MOVQ step_target(BX), CX    // where to continue; 0: no branch
	TESTQ CX, CX
	JZ   next
	CMPQ AX, step_expected(BX)
	JNE  next
	MOVQ CX, BX
	JMP  step
next:
	TESTQ AX, AX
	JS   failed
	ADDQ $STEP_SIZE, BX
	JMP  step
failed:
	MOVL $HEADER, SI            // {address of the step, errno} to the report
	MOVL BX, header_step(SI)
	NEGQ AX
	MOVL AX, header_errno(SI)
	MOVL header_report(SI), DI
	MOVL $8, DX
	MOVL $MSG_NOSIGNAL, R10
	XORL R8, R8
	XORL R9, R9
	MOVL $44, AX                // sendto
	SYSCALL
	MOVL $1, DI
	MOVL $231, AX               // exit_group
	SYSCALL
	INT  $3

// interpEnd marks the end of interp.
TEXT ·interpEnd(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func bounds() (start, end uintptr)
//
// LEAQ gives the real addresses; Go's func values give those of wrappers.
TEXT ·bounds(SB), NOSPLIT, $0-16
	LEAQ ·interp(SB), AX
	MOVQ AX, start+0(FP)
	LEAQ ·interpEnd(SB), AX
	MOVQ AX, end+8(FP)
	RET
