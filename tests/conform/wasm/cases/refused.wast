;; What must not be accepted.
(assert_invalid (module (func (result i32) (i64.const 1))) "type mismatch")
(assert_invalid (module (func (drop (local.get 0)))) "unknown local")
(assert_invalid (module (func (br 1))) "unknown label")
(assert_invalid (module (func (drop (i32.load (i32.const 0))))) "unknown memory")
(assert_invalid (module (memory 1) (func (drop (i32.load align=8 (i32.const 0))))) "alignment")
(assert_invalid (module (memory 2 1)) "size minimum must not be greater than maximum")
(assert_invalid (module (memory 65537)) "memory size must be at most 65536 pages")
(assert_invalid (module (func (call 1))) "unknown function")
(assert_invalid (module (func $f (param i32)) (start $f)) "start function")
(assert_invalid (module (global i32 (i32.const 0)) (func (global.set 0 (i32.const 1)))) "global is immutable")
(assert_invalid (module (func $f (ref.func $f) (drop))) "undeclared function reference")
(assert_invalid (module (func (call_indirect (i32.const 0)))) "unknown table")
(assert_invalid
  (module (func (export "a")) (func (export "a"))) "duplicate export name")
(assert_malformed (module binary "") "unexpected end")
(assert_malformed (module binary "\00asm\02\00\00\00") "unknown binary version")
(assert_malformed (module binary "\00asm\01\00\00\00\0e\00") "malformed section id")
(assert_malformed (module binary "\00asm\01\00\00\00\01\05\01") "unexpected end")
(assert_malformed
  (module binary "\00asm\01\00\00\00\01\84\80\80\80\80\00\01\60\00\00") "integer representation too long")
(assert_malformed
  (module binary "\00asm\01\00\00\00\01\04\01\60\00\00\03\02\01\00") "function and code section have inconsistent lengths")
(assert_malformed
  (module binary "\00asm\01\00\00\00\03\02\01\00\01\04\01\60\00\00") "unexpected content after last section")
;; Valid, but not for us: counted as skipped.
(module (import "spectest" "memory" (memory 1)))
(module (import "spectest" "print_i32" (func $p (param i32))) (func (export "f") (call $p (i32.const 1))))
(assert_return (invoke "f"))
