FromDevice(in) -> t :: Tee(3);
t [0] -> Paint(1) -> ToDevice(out);
t [1] -> Null -> Queue -> ToDevice(in);
t [2] -> Print(third, CONTENTS NONE) -> out2 :: ToDevice(1);
