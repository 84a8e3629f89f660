FromDevice(0) -> t :: Tee
t [0-1] => ( [0] -> Null -> [0]; [1] -> Paint(7) -> [1] ) => u :: Null, v :: Null
u, v -> ToDevice(1)
