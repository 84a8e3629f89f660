(module
  (import "env" "launch" (func))
  (func (export "_start") (call 0)))
