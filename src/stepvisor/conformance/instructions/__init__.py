"""The encodings that are drawn from, group by group.

Source of all encodings: Arm Architecture Reference Manual, "A64 instruction set encoding". A test
lets a disassembler that knows nothing of these tables judge what they draw.
"""
