import './app.css';

import { mount } from 'svelte';
import App from './App.svelte';
import { follow } from './lib/router.svelte';

follow();
const target = document.getElementById('app');
if (target) mount(App, { target });
