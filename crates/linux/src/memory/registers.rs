//! Clearing the registers that vector code leaves keys in.

/// Clears the vector registers. Ciphers leave round keys there, and whatever saves registers next (the
/// dynamic linker, a signal) would write them to the stack. To be called after every use of a key; it takes
/// some nanoseconds.
///
/// Clears on x86-64 all that AVX reaches and, where there is AVX-512, the rest; on aarch64 those that a
/// callee need not keep. Elsewhere it does nothing.
#[inline(never)]
pub fn clear_registers() {
    #[cfg(target_arch = "x86_64")]
    x86_64();
    #[cfg(target_arch = "aarch64")]
    aarch64();
}

#[cfg(target_arch = "x86_64")]
fn x86_64() {
    use core::arch::asm;
    if !is_x86_feature_detected!("avx") {
        // SAFETY: SSE2 is part of x86-64; all that is changed is declared, by the calling convention.
        unsafe {
            asm!(
                "pxor xmm0, xmm0; pxor xmm1, xmm1; pxor xmm2, xmm2; pxor xmm3, xmm3",
                "pxor xmm4, xmm4; pxor xmm5, xmm5; pxor xmm6, xmm6; pxor xmm7, xmm7",
                "pxor xmm8, xmm8; pxor xmm9, xmm9; pxor xmm10, xmm10; pxor xmm11, xmm11",
                "pxor xmm12, xmm12; pxor xmm13, xmm13; pxor xmm14, xmm14; pxor xmm15, xmm15",
                clobber_abi("sysv64"),
                options(nomem, nostack)
            );
        }
        return;
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor and the kernel have AVX-512, as just detected; declared as above.
        unsafe {
            asm!(
                "vpxorq zmm16, zmm16, zmm16; vpxorq zmm17, zmm17, zmm17; vpxorq zmm18, zmm18, zmm18",
                "vpxorq zmm19, zmm19, zmm19; vpxorq zmm20, zmm20, zmm20; vpxorq zmm21, zmm21, zmm21",
                "vpxorq zmm22, zmm22, zmm22; vpxorq zmm23, zmm23, zmm23; vpxorq zmm24, zmm24, zmm24",
                "vpxorq zmm25, zmm25, zmm25; vpxorq zmm26, zmm26, zmm26; vpxorq zmm27, zmm27, zmm27",
                "vpxorq zmm28, zmm28, zmm28; vpxorq zmm29, zmm29, zmm29; vpxorq zmm30, zmm30, zmm30",
                "vpxorq zmm31, zmm31, zmm31",
                clobber_abi("sysv64"),
                options(nomem, nostack)
            );
        }
    }
    // SAFETY: the processor and the kernel have AVX, as just detected; declared as above.
    unsafe { asm!("vzeroall", clobber_abi("sysv64"), options(nomem, nostack)) };
}

#[cfg(target_arch = "aarch64")]
fn aarch64() {
    // SAFETY: vector registers are part of the architecture's Linux ABI; all that is changed is declared,
    // by the calling convention.
    unsafe {
        core::arch::asm!(
            "movi v0.2d, #0; movi v1.2d, #0; movi v2.2d, #0; movi v3.2d, #0",
            "movi v4.2d, #0; movi v5.2d, #0; movi v6.2d, #0; movi v7.2d, #0",
            "movi v16.2d, #0; movi v17.2d, #0; movi v18.2d, #0; movi v19.2d, #0",
            "movi v20.2d, #0; movi v21.2d, #0; movi v22.2d, #0; movi v23.2d, #0",
            "movi v24.2d, #0; movi v25.2d, #0; movi v26.2d, #0; movi v27.2d, #0",
            "movi v28.2d, #0; movi v29.2d, #0; movi v30.2d, #0; movi v31.2d, #0",
            clobber_abi("C"),
            options(nomem, nostack)
        );
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use core::arch::asm;

    #[test]
    fn what_vector_code_left_is_gone() {
        let left: u64;
        // SAFETY: writes and reads declared registers; the call is to a function of that convention, on an
        // aligned stack.
        unsafe {
            asm!(
                "mov r12, rsp",
                "and rsp, -16",
                "pcmpeqd xmm7, xmm7",
                "call r13",
                "movq rax, xmm7",
                "mov rsp, r12",
                in("r13") clear as extern "sysv64" fn(),
                out("r12") _,
                out("rax") left,
                clobber_abi("sysv64"),
            );
        }
        assert_eq!(left, 0);
    }

    extern "sysv64" fn clear() {
        clear_registers();
    }
}
