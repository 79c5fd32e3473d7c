/* switch_aarch64.S - run a function on another stack.
 *
 * void stack_switch(void (*fn)(void *), void *arg, void *top, unsigned vectors)
 *
 * vectors is not looked at: there is one register file, and writing a vector
 * register clears what SVE has above it. The frame pointer chains both
 * stacks. Afterwards every register that fn need not preserve is cleared; of
 * v8 to v15 that is all but the low 64 bits. */
	.text
	.globl	stack_switch
	.hidden	stack_switch
	.type	stack_switch, %function
	.balign	16
stack_switch:
	.cfi_startproc
	hint	#34			/* bti c */
	stp	x29, x30, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_offset x29, -16
	.cfi_offset x30, -8
	mov	x29, sp
	.cfi_def_cfa_register x29
	mov	x9, x0
	mov	x0, x1
	mov	sp, x2
	blr	x9
	mov	sp, x29
	movi	v0.2d, #0
	movi	v1.2d, #0
	movi	v2.2d, #0
	movi	v3.2d, #0
	movi	v4.2d, #0
	movi	v5.2d, #0
	movi	v6.2d, #0
	movi	v7.2d, #0
	fmov	d8, d8
	fmov	d9, d9
	fmov	d10, d10
	fmov	d11, d11
	fmov	d12, d12
	fmov	d13, d13
	fmov	d14, d14
	fmov	d15, d15
	movi	v16.2d, #0
	movi	v17.2d, #0
	movi	v18.2d, #0
	movi	v19.2d, #0
	movi	v20.2d, #0
	movi	v21.2d, #0
	movi	v22.2d, #0
	movi	v23.2d, #0
	movi	v24.2d, #0
	movi	v25.2d, #0
	movi	v26.2d, #0
	movi	v27.2d, #0
	movi	v28.2d, #0
	movi	v29.2d, #0
	movi	v30.2d, #0
	movi	v31.2d, #0
	mov	x0, xzr
	mov	x1, xzr
	mov	x2, xzr
	mov	x3, xzr
	mov	x4, xzr
	mov	x5, xzr
	mov	x6, xzr
	mov	x7, xzr
	mov	x8, xzr
	mov	x9, xzr
	mov	x10, xzr
	mov	x11, xzr
	mov	x12, xzr
	mov	x13, xzr
	mov	x14, xzr
	mov	x15, xzr
	mov	x16, xzr
	mov	x17, xzr
	ldp	x29, x30, [sp], #16
	.cfi_restore x29
	.cfi_restore x30
	.cfi_def_cfa sp, 0
	ret
	.cfi_endproc
	.size	stack_switch, .-stack_switch
	.section .note.GNU-stack,"",%progbits
