"""Samplers that change the law of the output on purpose. The core of TAIS never imports them."""
