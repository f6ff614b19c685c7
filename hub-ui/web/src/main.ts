import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { i18n } from './lib/i18n.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app');
await i18n.start();
mount(App, { target });
