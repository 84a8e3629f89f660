;; Pointers beyond the one page of memory are EFAULT (21), whatever else they are.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; One iovec at 0: from 65530 on, 7 bytes. Another at 8: it wraps around.
  (data (i32.const 0) "\fa\ff\00\00\07\00\00\00" "\ff\ff\ff\ff\ff\ff\ff\ff")
  (func $fault (param i32)
    (if (i32.ne (local.get 0) (i32.const 21)) (then unreachable)))
  (func (export "_start")
    (call $fault (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))
    (call $fault (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 100)))
    (call $fault (call $fd_write (i32.const 1) (i32.const 65535) (i32.const 1) (i32.const 100)))
    (call $fault (call $fd_write (i32.const 1) (i32.const 16) (i32.const 0) (i32.const 65533)))
    (call $fault (call $random_get (i32.const 1) (i32.const 65536)))
    (call $fault (call $random_get (i32.const 0xffffffff) (i32.const 2)))
    (call $fault (call $args_get (i32.const 65533) (i32.const 0)))))
