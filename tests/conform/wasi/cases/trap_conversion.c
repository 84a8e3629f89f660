int main(void)
{
	volatile float nan = __builtin_nanf("");
	return __builtin_wasm_trunc_s_i32_f32(nan);
}
