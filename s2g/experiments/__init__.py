"""Tables, figures and claims of the paper as data, and what runs them."""
