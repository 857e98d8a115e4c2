"""The stepping conformance suite: what is stepped computes what it computes alone.

A bare-metal guest runs pieces of code twice from one state, freely and stepped, and compares
everything they leave. :mod:`~stepvisor.conformance.classes` lists what is run, class by class;
:mod:`~stepvisor.conformance.target` says what a hypervisor must offer to be tested.
"""
